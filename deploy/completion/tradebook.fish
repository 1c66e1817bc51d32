# fish completion of tradebook. Commands, options and methods are asked of the
# program itself, which answers without a server.

function __tradebook_commands
    tradebook --help 2>/dev/null | string replace -rf '^  ([a-z]+) +(.*)' '$1\t$2'
end

function __tradebook_options
    set -l words (commandline -opc)
    tradebook $words[2] --help 2>/dev/null | string replace -rf '^ +(?:-[A-Za-z?], )?(--[a-z-]+).*' '$1'
end

# Whether the word being typed is the first after this command.
function __tradebook_first_of
    set -l words (commandline -opc)
    test (count $words) -eq 2; and test $words[2] = $argv[1]
end

complete -c tradebook -n __fish_use_subcommand -f -a '(__tradebook_commands)'
complete -c tradebook -n __fish_use_subcommand -l help -d 'Print the commands'
complete -c tradebook -n __fish_use_subcommand -l version -d 'Print the version'
complete -c tradebook -n 'not __fish_use_subcommand' -a '(__tradebook_options)'
complete -c tradebook -n '__tradebook_first_of call' -f -a "(tradebook call 2>/dev/null | string replace -r '.*\.' '')"
complete -c tradebook -n '__tradebook_first_of list' -f -a 'signals results theories patterns risk models'
complete -c tradebook -n '__fish_seen_subcommand_from list' -l format -x -a 'table json csv'
complete -c tradebook -n '__tradebook_first_of report' -f -a 'performance equity series ab theories patterns calibration signals open models'
complete -c tradebook -n '__fish_seen_subcommand_from report' -l format -x -a 'table json csv'
complete -c tradebook -n '__fish_seen_subcommand_from report' -l by -x -a 'strategy symbol session tier direction exit_reason model_version'
complete -c tradebook -n '__fish_seen_subcommand_from report' -l period -x -a 'day week month'
complete -c tradebook -n '__fish_seen_subcommand_from report' -l order -x -a 'rate lower-bound'
complete -c tradebook -n '__fish_seen_subcommand_from doctor' -l format -x -a 'table json csv'
complete -c tradebook -n '__fish_seen_subcommand_from open close check' -l format -x -a 'table json'
complete -c tradebook -n '__fish_seen_subcommand_from open' -l mode -x -a 'dryrun live'
complete -c tradebook -n '__fish_seen_subcommand_from close' -l reason -x -a 'tp_hit sl_hit manual timeout'
complete -c tradebook -n '__tradebook_first_of completion' -f -a 'bash zsh fish'
complete -c tradebook -n '__tradebook_first_of help' -f -a '(__tradebook_commands)'
