#!/bin/sh
# make install into an empty root: what arrives, that a C program builds against it with pkg-config, shared and
# static, and runs; that nothing but the API of g4.h is visible; that uninstall leaves nothing.
n=0
ok() { # ok STATUS NAME
    n=$((n + 1))
    [ "$1" = 0 ] && echo "ok $n - $2" || echo "not ok $n - $2"
}
same() { # same NAME GOT WANTED
    [ "$2" = "$3" ]
    ok $? "$1"
    [ "$2" = "$3" ] || printf 'got %s\nexpected %s\n' "$2" "$3" | sed 's/^/# /'
}
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
root=$tmp/root
model=tests/data/text/gemma3-270m
san=
[ "${SAN:-}" = 1 ] && san='-fsanitize=address,undefined'

make -s install DESTDIR="$root" PREFIX=/usr >"$tmp/log" 2>&1
ok $? 'make install'
sed 's/^/# /' "$tmp/log"
for f in bin/g4-gen lib/libg4.a lib/libg4.so lib/libg4.so.0 lib/pkgconfig/g4.pc include/g4.h share/man/man1/g4-gen.1 \
    share/man/man5/g4-jsonl.5 share/man/man7/g4.7 share/bash-completion/completions/g4-gen \
    share/zsh/site-functions/_g4 share/fish/vendor_completions.d/g4-gen.fish share/g4/g4-nano.gguf; do
    [ -s "$root/usr/$f" ]
    ok $? "installed: $f"
done

# The names that g4.h marks G4_API, and those that are visible in either library.
sed -n 's/^G4_API [^(]*[ *]\(g4_[a-z0-9_]*\)(.*/\1/p' lib/g4.h | sort >"$tmp/api"
[ -s "$tmp/api" ]
ok $? "g4.h declares $(wc -l <"$tmp/api") functions"
nm -D --defined-only "$root/usr/lib/libg4.so" | awk '{ print $3 }' | grep -v '^__asan\|^__odr\|^__ubsan' | sort >"$tmp/so"
same 'the shared library exports the API and nothing else' "$(diff "$tmp/api" "$tmp/so")" ''
nm -g --defined-only "$root/usr/lib/libg4.a" | awk 'NF == 3 { print $3 }' | grep -v '^__asan\|^__odr\|^__ubsan' | sort >"$tmp/a"
same 'the static library shows the API and nothing else' "$(diff "$tmp/api" "$tmp/a")" ''
readelf -d "$root/usr/lib/libg4.so" >"$tmp/dynamic"
same 'its soname' "$(sed -n 's/.*SONAME.*\[\(.*\)\]/\1/p' "$tmp/dynamic")" libg4.so.0
same 'it needs neither libjq nor libarchive' "$(grep -c 'NEEDED.*\(jq\|archive\)' "$tmp/dynamic")" 0
${CC:-cc} -std=c11 -Wall -Wextra -Werror -pedantic -fsyntax-only -x c "$root/usr/include/g4.h" 2>"$tmp/log"
ok $? 'g4.h stands alone in strict C11'
sed 's/^/# /' "$tmp/log"

export PKG_CONFIG_PATH="$root/usr/lib/pkgconfig" PKG_CONFIG_SYSROOT_DIR="$root" PKG_CONFIG_ALLOW_SYSTEM_CFLAGS=1 \
    PKG_CONFIG_ALLOW_SYSTEM_LIBS=1
same 'pkg-config knows the version' "$(pkg-config --modversion g4)" "$(sed -n 's/.*G4_VERSION "\(.*\)"/\1/p' lib/g4.h)"
${CC:-cc} -Wall -Wextra -Werror $san $(pkg-config --cflags g4) -o "$tmp/shared" examples/hello.c $(pkg-config --libs g4) 2>"$tmp/log"
ok $? 'examples/hello.c builds against the shared library'
${CC:-cc} -Wall -Wextra -Werror $san $(pkg-config --cflags g4) -o "$tmp/static" examples/hello.c \
    -Wl,-Bstatic $(pkg-config --libs g4) -Wl,-Bdynamic $(pkg-config --static --libs-only-l g4 | sed 's/-lg4//') 2>>"$tmp/log"
ok $? 'and against the static one'
sed 's/^/# /' "$tmp/log"
LD_LIBRARY_PATH=$root/usr/lib timeout 60 "$tmp/shared" "$model" "a b" >"$tmp/out1" 2>"$tmp/err1"
ok $? 'it runs, shared'
sed 's/^/# /' "$tmp/err1"
timeout 60 "$tmp/static" "$model" "a b" >"$tmp/out2" 2>"$tmp/err2"
ok $? 'it runs, static'
[ -s "$tmp/out1" ] && cmp -s "$tmp/out1" "$tmp/out2"
ok $? 'both say the same'

make -s uninstall DESTDIR="$root" PREFIX=/usr >/dev/null 2>&1
same 'make uninstall leaves no file' "$(find "$root" ! -type d)" ''
echo "1..$n"
