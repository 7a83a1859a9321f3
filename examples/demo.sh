#!/bin/sh
# make demo: the model that ships with g4 at work: a review with its thought, a record for every file of a folder, and
# what it says to a question beyond it.
set -eu
cd "$(dirname "$0")/.."
PATH=$PWD/${G4_BUILD:-build}:$PATH
unset G4_MODEL
say() { printf '\n\033[1m$ %s\033[0m\n' "$*"; }
[ -t 1 ] && [ -z "${NO_COLOR:-}" ] || say() { printf '\n$ %s\n' "$*"; }

say 'cat examples/buggy.c'
cat examples/buggy.c
say 'cat examples/buggy.c | g4-gen -q --think --show-thinking "review"'
g4-gen -q --think --show-thinking "review" <examples/buggy.c

say "g4-gen -q --each --schema examples/notes/date.json 'Extract date as JSON.' examples/notes/*.txt | jq -c '{path, data}'"
g4-gen -q --each --schema examples/notes/date.json 'Extract date as JSON.' examples/notes/*.txt | jq -c '{path, data}'

say "g4-gen -q --no-stdin 'Write a poem about the sea.'"
g4-gen -q --no-stdin 'Write a poem about the sea.'
