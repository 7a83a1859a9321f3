#!/bin/sh
# git_show {commit, patch}
args=$(cat)
commit=$(printf %s "$args" | jq -r .commit)
if [ "$(printf %s "$args" | jq -r .patch)" = true ]; then form=--patch; else form=--stat; fi
git show $form --date=short --format='%H%n%an <%ae>, %ad%n%n%B' "$commit" -- | head -c 20000
