#!/bin/sh
# make demo: Gemma 3 270M, a base model (it completes text, it is no chat model), on real input.
set -eu
cd "$(dirname "$0")/.."
PATH=$PWD/${G4_BUILD:-build}:$PATH
export G4_MODEL="${XDG_CACHE_HOME:-$HOME/.cache}/g4-test/gemma3-270m.gguf"
if [ ! -f "$G4_MODEL" ]; then
    echo 'demo: there are no weights to run (see the line above)' >&2
    exit 3
fi
say() { printf '\n\033[1m%s\033[0m\n' "$*"; }
[ -t 1 ] && [ -z "${NO_COLOR:-}" ] || say() { printf '\n%s\n' "$*"; }

say "1. Text in, text out, as it comes:  g4-gen 'The Unix philosophy is'"
g4-gen --temperature 0 --repeat-penalty 1.1 --max-tokens 48 --no-stdin 'The Unix philosophy is'

say '2. A batch: each record one line, each answer in its place:  jq ... | g4-gen -j | jq ...'
shots='Capital cities.
France -> Paris
Spain -> Madrid
Poland -> Warsaw'
printf '%s\n' Italy Japan Greece Portugal Egypt Austria |
    jq -Rc --arg shots "$shots" '{country: ., prompt: "\($shots)\n\(.) ->"}' |
    g4-gen -j -q --temperature 0 --max-tokens 6 --stop '
' | jq -r '"   \(.country) ->\(.text)"'

say "3. Lines of a file, bare text out, counted:  g4-gen --lines -r ... | sort | uniq -c"
printf '%s ->\n' 'Guten Morgen' 'Je ne sais pas' 'Wie geht es dir?' 'Bonne nuit' 'How are you?' 'Ich habe Hunger' |
    g4-gen --lines -r -q --temperature 0 --max-tokens 3 --stop '
' 'Good morning -> English

Bonsoir, ça va? -> French

Das ist gut -> German

See you tomorrow -> English

Vielen Dank -> German

Je suis ici -> French' | sort | uniq -c
