#!/usr/bin/env bash
# parts.sh - the house: what holds for src/. The header is what src/ gives; each part compiles alone
# with what it includes, so that no part calls what it has not included; includes go down only; and
# src/README.md leads to every part, and names functions where they are. Prints a line per check
# that fails, and last 'N passed, N failed'.
set -u
cd "$(dirname "$0")/../.." || exit 2
stb=$(pkg-config --cflags stb 2>/dev/null)
stb=${stb:--I/usr/include/stb}
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
passed=0 failed=0
folders='api base core store tasks actors insight runtime public' # each uses those before it
parts=$(cd src && ls ./*/*.h | sed 's#^\./##')

# check NAME COMMAND...: the command must succeed, and print nothing.
check() {
    local name=$1
    shift
    if "$@" >"$out/log" 2>&1 && [ ! -s "$out/log" ]; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "FAILED: $name"
        head -n 15 "$out/log" | sed 's/^/    /'
    fi
}

# edges: "PART INCLUDED" for each include of a part.
edges() {
    (cd src && awk '/^#include "/ { split($0, word, "\""); print FILENAME, word[2] }' ./*/*.h) |
        while read -r part included; do
            echo "${part#./} $(cd "src/$(dirname "$part")" && realpath -m --relative-to="$OLDPWD/src" "$included")"
        done
}
# A static function that is declared and used, but not defined in what is included, is an error, too.
alone() { # COMPILER PART
    echo "#include \"$2\"" | "$1" -std=c11 -D_DEFAULT_SOURCE -Wall -Wextra -Wpedantic -Werror \
        -Wno-unused-function -Wno-unused-variable -Wno-unused-const-variable -Isrc \
        $stb -fsyntax-only -x c -
}
goes_down() { # PART INCLUDED: false if the folder of what is included comes later
    local places=" $folders "
    local above=${places#* "${2%%/*}" }
    [ "${1%%/*}" = "${2%%/*}" ] || [[ " $above" == *" ${1%%/*} "* ]]
}
begins_with_its_purpose() { head -n 1 "src/$1" | grep -q '^/\* [A-Z]'; }
says_its_locks() { sed '/\*\//q' "src/$1" | grep -q 'Locks[:,]'; }
is_one_idea() { [ "$(wc -l <"src/$1")" -le 600 ]; }
# defines PART NAME: a function, a type or a macro.
defines() {
    grep -Eq "^([A-Za-z].*[ *(])?$2\(|^#define $2\\b|^(typedef )?struct $2\\b|^} $2;" "src/$1"
}

# A function whose status is an error leaves a message (rr__note), also where it checks only.
silent_errors() {
    sed 's/"[^"]*"//g' src/public/*.h | grep -nE 'return ([^;]*[?:] *)?RR_ERR_[A-Z_]*;' |
        grep -vE 'rr__(note|error|yield|status)_|rr__note\(|rr_(status_text\(|stream\))'
}

check "rustyray.h is what src/ gives: make header" cmp rustyray.h <(src/header.sh src)
check "no public function returns an error without a message" eval "! silent_errors"
edges | grep -v 'stb_ds.h' >"$out/edges"
check "includes form no ring" eval "tsort '$out/edges' >/dev/null"
while read -r part included; do
    check "$part includes $included, which is not above it" goes_down "$part" "$included"
done <"$out/edges"
for part in $parts; do
    for compiler in gcc clang; do
        command -v $compiler >/dev/null && check "$compiler: $part alone" alone $compiler "$part"
    done
    check "$part is in the header" grep -qx "// >>${part%.h}" rustyray.h
    check "$part begins with what it is for" begins_with_its_purpose "$part"
    case $part in api/* | base/* | public/*) ;; *) check "$part says its locks" says_its_locks "$part" ;; esac
    check "$part has at most 600 lines" is_one_idea "$part"
    check "src/README.md leads to $part" grep -q "\`$part\`" src/README.md
done
# The journeys: a line '- `part`: `function`, `function`'.
sed -n 's/^- `\([a-z_]*\/[a-z_]*\.h\)`: \(.*\)/\1 \2/p' src/README.md |
    while read -r part names; do
        for name in $(grep -o '`[a-zA-Z_]*`' <<<"$names" | tr -d '`'); do echo "$part $name"; done
    done >"$out/steps"
check "there are journeys" test -s "$out/steps"
while read -r part name; do
    check "$name is in $part, as a journey says" defines "$part" "$name"
done <"$out/steps"

echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
