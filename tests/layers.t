#!/bin/sh
# Layering: reads every #include of lib/, cmd/ and shaders/ and proves that calls go downwards only:
#   record > {call, grade} > verb > engine > model > {text, media, device} > weights > base;  hub > weights > base
# and that each foreign library has its one room.  Then plants violations in a copy, each of which must be found.

# violations ROOT: one line for each include that breaks a rule
violations() {
    (cd "$1" && find lib cmd shaders -name '*.[ch]' -o -name '*.comp' -o -name '*.glsl' 2>/dev/null | sort |
        xargs grep -nE '^[ 	]*#[ 	]*include' /dev/null |
        awk '
BEGIN {
    below["base"] = "base"
    below["weights"] = "weights base"
    below["hub"] = "hub weights base"
    below["text"] = "text base"
    below["media"] = "media base"
    below["device"] = "device base shaders"
    below["model"] = "model text media device weights base"
    below["engine"] = "engine " below["model"]
    below["verb"] = "verb " below["engine"]
    below["call"] = "call " below["verb"]
    below["grade"] = "grade " below["verb"]
    below["record"] = "record call grade " below["verb"]
    below["g4-tool.h"] = "record call grade " below["verb"]
    below["g4.h"] = ""
    below["g4-hub.h"] = "hub weights base"
    below["cmd"] = "cmd g4-tool.h g4-hub.h"
    below["shaders"] = "shaders"
    foreign["jv.h"] = foreign["jq.h"] = "^lib/base/jq\\.c$"
    foreign["archive.h"] = foreign["archive_entry.h"] = "^lib/(record|hub)/"
    foreign["curl/curl.h"] = foreign["openssl/evp.h"] = "^lib/hub/"
    foreign["readline/readline.h"] = foreign["readline/history.h"] = "^cmd/chat_line\\.c$"
    foreign["vulkan/vulkan.h"] = "^lib/device/vulkan/"
}
# The room a path lies in: a folder of lib/, a file of lib/ itself, cmd or shaders.
function room(path,  part) {
    split(path, part, "/")
    return part[1] == "lib" ? part[2] : part[1]
}
function exists(path) {
    if (!(path in seen)) seen[path] = system("test -f " path) == 0
    return seen[path]
}
function bad(why) { print file ":" line ": " why }
{
    split($0, part, ":"); file = part[1]; line = part[2]
    from = room(file)
    if (match($0, /<[^>]+>/)) {
        name = substr($0, RSTART + 1, RLENGTH - 2)
        if (name in foreign && file !~ foreign[name]) bad("<" name "> has its room elsewhere")
        next
    }
    if (!match($0, /"[^"]+"/)) { bad("an include that cannot be read"); next }
    name = substr($0, RSTART + 1, RLENGTH - 2)
    if (name ~ /\.\./) { bad("\"" name "\" climbs out of its folder"); next }
    own = file; sub(/[^\/]*$/, name, own)
    path = exists(own) ? own : exists("lib/" name) ? "lib/" name : exists(name) ? name : ""
    if (path == "") { bad("\"" name "\" is not in the tree"); next }
    to = room(path)
    if (to == "g4.h") next
    if (!(from in below)) bad("folder \"" from "\" has no place in the order")
    else if (index(" " below[from] " ", " " to " ") == 0) bad(from " may not include " to " (" name ")")
}')
}

n=0
ok() { # ok STATUS NAME
    n=$((n + 1))
    [ "$1" = 0 ] && echo "ok $n - $2" || echo "not ok $n - $2"
}

found=$(violations .)
[ -z "$found" ]
ok $? "every include of $(find lib cmd shaders -type f 2>/dev/null | wc -l) files goes downwards"
[ -z "$found" ] || echo "$found" | sed 's/^/# /'

# planted FILE INCLUDE: the line added to that file of a copy must be found, as the only new violation
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
before=$(echo "$found" | grep -c .)
mkdir "$tmp/tree"
cp -r $(ls -d lib cmd shaders 2>/dev/null) "$tmp/tree"
planted() {
    file=$tmp/tree/$1
    mkdir -p "${file%/*}"
    [ -f "$file" ] && cp "$file" "$tmp/saved"
    printf '\n#include %s\n' "$2" >>"$file"
    lines=$(violations "$tmp/tree")
    [ "$(echo "$lines" | grep -c .)" = $((before + 1)) ] && echo "$lines" | grep -q "^$1:"
    ok $? "found when planted: $2 in $1"
    if [ -f "$tmp/saved" ]; then mv "$tmp/saved" "$file"; else rm "$file"; fi
}
planted lib/base/str.c '"weights/weights.h"'
planted lib/weights/weights.h '"model/model.h"'
planted lib/text/tokenizer.h '"weights/weights.h"'
planted lib/text/tokenizer.h '"device/device.h"'
planted lib/device/device.h '"text/vocab.h"'
planted lib/device/cpu/cpu.h '"model/model.h"'
planted lib/model/model.h '"engine/engine.h"'
planted lib/engine/engine.h '"verb/generate.h"'
planted lib/verb/generate.h '"g4-tool.h"'
planted lib/hub/planted.c '"model/model.h"'
planted lib/cellar/planted.c '"base/str.h"'
planted lib/engine/engine.h '"../base/str.h"'
planted lib/engine/engine.h '"base/nowhere.h"'
planted cmd/planted.c '"engine/engine.h"'
planted lib/base/json.h '<jv.h>'
planted lib/weights/weights.h '<archive.h>'
planted lib/engine/engine.h '<vulkan/vulkan.h>'
planted cmd/chat.c '<readline/readline.h>'
echo "1..$n"
