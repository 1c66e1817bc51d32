# bash completion of tradebook. Commands, options and methods are asked of the
# program itself, which answers without a server.

_tradebook_options() {
    "$1" "$2" --help 2>/dev/null | sed -n 's/^ \{1,\}\(-[A-Za-z?], \)\{0,1\}\(--[a-z-]\{1,\}\).*/\2/p'
}

_tradebook_words() {
    local program=$1 command=$2 previous=$3 current=$4 position=$5
    case $command:$previous in
    list:--format | report:--format | doctor:--format) echo 'table json csv' ;;
    open:--format | close:--format | check:--format) echo 'table json' ;;
    open:--mode) echo 'dryrun live' ;;
    close:--reason) echo 'tp_hit sl_hit manual timeout' ;;
    report:--by) echo 'strategy symbol session tier direction exit_reason model_version' ;;
    report:--period) echo 'day week month' ;;
    report:--order) echo 'rate lower-bound' ;;
    *:--*=) ;;
    *)
        if [[ $current == -* ]]; then
            _tradebook_options "$program" "$command"
            return
        fi
        case $command in
        call) [[ $position -eq 2 ]] && "$program" call 2>/dev/null | sed 's/.*\.//' ;;
        list) [[ $position -eq 2 ]] && echo 'signals results theories patterns risk models' ;;
        report) [[ $position -eq 2 ]] && echo 'performance equity series ab theories patterns calibration signals open models' ;;
        completion) echo 'bash zsh fish' ;;
        help) "$program" --help 2>/dev/null | sed -n 's/^  \([a-z]\{1,\}\) .*/\1/p' ;;
        esac
        ;;
    esac
}

_tradebook() {
    local program=${COMP_WORDS[0]} current=${COMP_WORDS[COMP_CWORD]} words
    if [[ $COMP_CWORD -eq 1 ]]; then
        words="--help --version $(_tradebook_words "$program" help '' '' 2)"
    else
        words=$(_tradebook_words "$program" "${COMP_WORDS[1]}" "${COMP_WORDS[COMP_CWORD - 1]}" "$current" "$COMP_CWORD")
    fi
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
}

# Without a word to offer, complete file names.
complete -o bashdefault -o default -F _tradebook tradebook
