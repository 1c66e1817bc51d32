#compdef tradebook
# zsh completion of tradebook. Commands, options and methods are asked of the
# program itself, which answers without a server.

_tradebook_commands() {
    local -a found
    found=(${(f)"$($program --help 2>/dev/null | sed -n 's/^  \([a-z]\{1,\}\) \{1,\}\(.*\)/\1:\2/p')"})
    _describe command found
}

_tradebook_options() {
    local -a found
    found=(${(f)"$($program $1 --help 2>/dev/null |
        sed -n 's/^ \{1,\}\(-[A-Za-z?], \)\{0,1\}\(--[a-z-]\{1,\}\).*/\2/p')"})
    compadd -a found
}

_tradebook() {
    local program=$words[1] command=$words[2]
    local -a found
    if (( CURRENT == 2 )); then
        _tradebook_commands
        compadd -- --help --version
    elif [[ $command == (list|report|doctor) && $words[CURRENT-1] == --format ]]; then
        compadd table json csv
    elif [[ $command == (open|close|check) && $words[CURRENT-1] == --format ]]; then
        compadd table json
    elif [[ $command == open && $words[CURRENT-1] == --mode ]]; then
        compadd dryrun live
    elif [[ $command == close && $words[CURRENT-1] == --reason ]]; then
        compadd tp_hit sl_hit manual timeout
    elif [[ $command == report && $words[CURRENT-1] == --by ]]; then
        compadd strategy symbol session tier direction exit_reason model_version
    elif [[ $command == report && $words[CURRENT-1] == --period ]]; then
        compadd day week month
    elif [[ $command == report && $words[CURRENT-1] == --order ]]; then
        compadd rate lower-bound
    elif [[ $words[CURRENT] == -* ]]; then
        _tradebook_options $command
    elif [[ $command == call && CURRENT -eq 3 ]]; then
        found=(${(f)"$($program call 2>/dev/null | sed 's/.*\.//')"})
        compadd -a found
    elif [[ $command == list && CURRENT -eq 3 ]]; then
        compadd signals results theories patterns risk models
    elif [[ $command == report && CURRENT -eq 3 ]]; then
        compadd performance equity series ab theories patterns calibration signals open models
    elif [[ $command == completion ]]; then
        compadd bash zsh fish
    elif [[ $command == help ]]; then
        _tradebook_commands
    else
        _files
    fi
}

# In a folder of fpath this file is the function; sourced, it has to register.
if [[ $funcstack[1] == _tradebook ]]; then
    _tradebook "$@"
else
    compdef _tradebook tradebook
fi
