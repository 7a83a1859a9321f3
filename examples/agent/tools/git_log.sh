#!/bin/sh
# git_log {count, author, path}
args=$(cat)
field() { printf %s "$args" | jq -r "$1"; }
git log --max-count="$(field .count)" --date=short --format='%h %ad %an: %s' --fixed-strings \
    --author="$(field '.author // ""')" -- "$(field '.path // "."')"
