#!/bin/sh
# git_grep {text, path}
args=$(cat)
found=$(git grep -n -I --fixed-strings -e "$(printf %s "$args" | jq -r .text)" -- "$(printf %s "$args" | jq -r '.path // "."')")
[ $? -le 1 ] || exit 1
printf '%s\n' "${found:-no line contains it}" | head -50
