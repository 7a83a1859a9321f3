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

say "3. Three answers to one prompt, the same three every time:  g4-gen -n 3 --seed 7 'Once upon a time' | jq ..."
g4-gen --json -q -n 3 --seed 7 --temperature 0.8 --max-tokens 24 --stop '
' --no-stdin 'Once upon a time, in a small village by the sea,' | jq -r '"   \(.sample):\(.text)"'
