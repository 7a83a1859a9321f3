# fish completion for the g4 commands: asks the command for its options, so nothing here drifts.

function __g4_options --argument-names command
    command -q $command; or return
    $command --completion-helper 2>/dev/null | while read -l line
        set -l field (string split \t -- $line)
        set -l spec -c $command -l (string replace -r '^--' '' -- $field[2]) -d $field[4]
        test -n "$field[1]"; and set -a spec -s (string sub -s 2 -- $field[1])
        switch $field[3]
            case ''
            case '[=*'
                # the value may be left out: fish offers the bare name
            case '*'
                if string match -q '*MODEL*' -- $field[3]
                    set -a spec -r -a '(g4-pull --list -q 2>/dev/null)'
                else if string match -qr '[A-Z]' -- $field[3]
                    set -a spec -r
                else
                    set -a spec -x -a (string replace -a '|' ' ' -- $field[3])
                end
        end
        complete $spec
    end
end

__g4_options g4-gen
__g4_options g4-call
__g4_options g4-pull
# short names and installed ones
complete -c g4-pull -a "(g4-pull --aliases 2>/dev/null | string replace -r ' .*' ''; g4-pull --list -q 2>/dev/null)"
