# bash completion for the g4 commands: asks the command for its options, so nothing here drifts.

# _g4_names WORD NAMES: as compgen -W; names may hold ':', where bash cuts words
_g4_names() {
    local done=${1%"${1##*:}"}
    mapfile -t COMPREPLY < <(compgen -W "$2" -- "$1")
    [ "${COMP_WORDBREAKS/:/}" = "$COMP_WORDBREAKS" ] || COMPREPLY=("${COMPREPLY[@]#"$done"}")
}

# _g4_value WORDS CUR: completes a value; WORDS is what the option table calls it
_g4_value() {
    local words=${1#\[=}
    words=${words%\]}
    case $words in
    *MODEL*)
        _g4_names "$2" "$("$pull" --list -q 2>/dev/null)"
        [ ${#COMPREPLY[@]} -gt 0 ] || mapfile -t COMPREPLY < <(compgen -f -- "$2")
        ;;
    *FILE* | *PATH* | *OUT* | *DIR*) compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- "$2") ;;
    *[A-Z]*) ;;
    *\|*) mapfile -t COMPREPLY < <(compgen -W "${words//|/ }" -- "$2") ;;
    esac
}

_g4() {
    local command=$1 cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}
    local letter name value help options=() pull=g4-pull i
    COMPREPLY=()
    case $command in */*) pull=${command%/*}/g4-pull ;; esac
    # and at ':', which stands in the names of models
    for ((i = COMP_CWORD; i >= 1; i--)); do
        if [ "$i" -lt "$COMP_CWORD" ]; then cur=${COMP_WORDS[i]}$cur; fi
        prev=${COMP_WORDS[i - 1]}
        [ "${COMP_WORDS[i]}" = : ] || [ "$prev" = : ] || break
    done
    # bash cuts words at '=': --name=cur stands in three words
    local joined=
    if [ "$cur" = = ]; then
        joined=$prev cur=
    elif [ "$prev" = = ]; then
        joined=${COMP_WORDS[COMP_CWORD - 2]}
    fi
    while IFS=$'\037' read -r letter name value help; do
        if [ -n "$value" ]; then
            if [ -n "$joined" ]; then
                [ "$joined" = "$name" ] && { _g4_value "$value" "$cur"; return; }
            elif [ "${value#\[=}" = "$value" ] && { [ "$prev" = "$name" ] || [ "$prev" = "$letter" ]; }; then
                _g4_value "$value" "$cur"
                return
            fi
        fi
        options+=("$name")
    done < <("$command" --completion-helper 2>/dev/null | tr '\t' '\037') # read would join empty fields at tabs
    case $cur in
    -*) mapfile -t COMPREPLY < <(compgen -W "${options[*]}" -- "$cur") ;;
    *)
        case $command in
        *g4-pull) _g4_names "$cur" "$("$pull" --aliases 2>/dev/null | cut -d' ' -f1) $("$pull" --list -q 2>/dev/null)" ;;
        esac
        [ ${#COMPREPLY[@]} = 0 ] || return
        compopt -o filenames 2>/dev/null
        mapfile -t COMPREPLY < <(compgen -f -- "$cur")
        ;;
    esac
}

complete -F _g4 g4-gen g4-call g4-pull
