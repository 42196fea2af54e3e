#!/usr/bin/env bash
# run.sh - what only a compiler can tell: standards and compilers, several units, stb_ds beside the
# user's own, no names but ours, and that mistakes do not compile and are told clearly. Prints a
# line per check that fails or is skipped, and last 'N passed, N failed'.
set -u
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
stb=$(pkg-config --cflags stb 2>/dev/null)
stb=${stb:--I/usr/include/stb}
strict="-Wall -Wextra -Wpedantic -Werror"
passed=0 failed=0

has() { command -v "$1" >/dev/null 2>&1; }
skip() { echo "skipped: $*"; }
# check NAME COMMAND...: the command must succeed.
check() {
    local name=$1
    shift
    if "$@" >"$out/log" 2>&1; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "FAILED: $name"
        head -n 15 "$out/log" | sed 's/^/    /'
    fi
}
# build COMPILER-AND-FLAGS SOURCE... to $out/program, and run it.
# shellcheck disable=SC2086
works() {
    local compiler=$1
    shift
    (cd "$here" && $compiler -I"$root" $stb "$@" -o "$out/program" -pthread -lm) &&
        [ "$(timeout 60 "$out/program")" = works ]
}
# shellcheck disable=SC2086
compiles() { (cd "$here" && $1 $strict -I"$root" $stb -c "$2" -o "$out/object.o"); }
# refused NAME PATTERN CODE: a program with this body must not compile, and the message must match.
refused() {
    {
        echo '#include "rustyray.h"'
        echo 'typedef struct point { double x, y; } point;'
        echo 'REMOTE_FN_DECLARE(int, add, int, a, int, b);'
        echo 'REMOTE_FN_DECLARE(double, norm, point, p);'
        echo 'typedef struct Box { int v; } Box;'
        echo 'REMOTE_ACTOR_DECLARE(Box, create, int, v);'
        echo 'REMOTE_METHOD_DECLARE(int, Box, put, int, v);'
        echo "void f(rr_actor a, rr_ref r, point p, const char *s);"
        echo "void f(rr_actor a, rr_ref r, point p, const char *s) { (void)a, (void)r, (void)p, (void)s;"
        echo "$3; }"
    } >"$out/refused.c"
    local compiler
    for compiler in gcc clang; do
        has $compiler || continue
        if $compiler -std=c11 $strict -I"$root" -c "$out/refused.c" -o "$out/object.o" >"$out/message" 2>&1
        then check "$compiler: $1 must not compile" false
        else check "$compiler: $1 is told clearly" grep -Eq "$2" "$out/message"
        fi
    done
}

# Standards and compilers.
for compiler in gcc clang; do
    has $compiler || { skip "$compiler is not installed"; continue; }
    for standard in c11 c17 c2x gnu11; do
        check "$compiler -std=$standard" works "$compiler -std=$standard -O1 $strict" program.c
    done
    check "$compiler -O3" works "$compiler -std=c11 -O3 $strict" program.c
    check "$compiler -O0" works "$compiler -std=c11 -O0 $strict" program.c
    for seam in "" -fsanitize=address -fsanitize=thread; do
        check "$compiler $seam: after headers that the user included" compiles \
            "$compiler -std=c11 $seam" late.c
    done
    check "$compiler: more warnings in a unit of the user's" compiles \
        "$compiler -std=c11 -Wshadow -Wundef -Wcast-qual -Wwrite-strings -Wstrict-prototypes" \
        functions.c
done
for compiler in musl-gcc tcc; do
    has $compiler || { skip "$compiler is not installed"; continue; }
    check "$compiler" works "$compiler -std=c11" program.c
    check "$compiler: after headers that the user included" works "$compiler -std=c11" late.c
    check "$compiler: several units" works "$compiler -std=c11" main.c functions.c implementation.c
done
for compiler in g++ clang++; do
    has $compiler || { skip "$compiler is not installed"; continue; }
    for standard in c++11 c++17 c++20; do
        check "$compiler -std=$standard: the declarations" compiles \
            "$compiler -std=$standard" declarations.cpp
    done
done
if has g++ && has gcc; then
    check "a C++ program with a C unit" eval \
        "cd '$here' && gcc -std=c11 -I'$root' $stb -c implementation.c -o '$out/c.o' &&
         g++ -std=c++17 -I'$root' declarations.cpp '$out/c.o' -o '$out/program' -pthread &&
         [ \"\$('$out/program')\" = works ]"
fi

# Several units, and stb_ds beside the user's.
for compiler in gcc clang; do
    has $compiler || continue
    c="$compiler -std=c11 $strict"
    check "$compiler: three units" works "$c" main.c functions.c implementation.c
    check "$compiler: units in another order" works "$c" implementation.c main.c functions.c
    loose="$compiler -std=gnu11 -Wall -Werror -DWITH_STB" # stb_ds needs typeof, and is not pedantic
    check "$compiler: stb_ds.h before" works "$loose" main.c functions.c stb_before.c stb_itself.c
    check "$compiler: stb_ds.h after" works "$loose" main.c functions.c stb_after.c stb_itself.c
    check "$compiler: -fPIC -fvisibility=hidden" works "$c -fPIC -fvisibility=hidden" \
        main.c functions.c implementation.c
    check "$compiler: link time optimisation" works "$compiler -std=c11 -O2 -flto" \
        main.c functions.c implementation.c
done

# Names. nm tells what an object defines; the preprocessor which macros a unit sees.
only() { ! grep -Ev "$1" "$2"; }
if has nm && has gcc; then
    for level in -O0 -O2; do
        (cd "$here" && gcc -std=c11 $level -I"$root" $stb -c implementation.c -o "$out/i.o" &&
            gcc -std=c11 $level -I"$root" -c functions.c -o "$out/f.o") >"$out/log" 2>&1
        nm -g --defined-only "$out/i.o" | awk 'NF { print $NF }' >"$out/symbols"
        check "gcc $level: the implementation defines something" test -s "$out/symbols"
        check "gcc $level: the implementation exports rr_ only" only '^rr_' "$out/symbols"
        nm -g --defined-only "$out/f.o" | awk 'NF { print $NF }' >"$out/symbols"
        check "gcc $level: a unit exports rr_ and the user's" only \
            '^(rr_.*|twice|Total_(create|add|_drop))$' "$out/symbols"
    done
else skip "namespaces: nm or gcc is not installed"; fi
# macros SOURCE: the names of all macros after it.
macros() { gcc -std=c11 -dM -E -I"$root" $stb "$1" | awk '{ sub(/\(.*/, "", $2); print $2 }' | sort -u; }
if has gcc; then
    declared='stdbool stddef stdint stdio string'
    for name in $declared; do echo "#include <$name.h>"; done >"$out/standard.c"
    { cat "$out/standard.c"; echo '#include "rustyray.h"'; } >"$out/declarations.c"
    comm -13 <(macros "$out/standard.c") <(macros "$out/declarations.c") >"$out/new"
    check "the declarations define our macros only" only '^(RR_|rr_|RUSTYRAY_|REMOTE_)' "$out/new"
    grep -o '^ *# *include <[^>]*>' "$root/rustyray.h" | grep -v windows | sort -u |
        while read -r line; do
            header=${line#*<} header=${header%>}
            echo "#if __has_include(<$header>)"; echo "#include <$header>"; echo "#endif"
        done >"$out/used.c"
    { cat "$out/used.c"; cat "$here/implementation.c"; } >"$out/all.c"
    comm -13 <(macros "$out/used.c") <(macros "$out/all.c") >"$out/new"
    check "the implementation adds our macros only, and stb_ds its long names" only \
        '^(RR_|rr_|RUSTYRAY_|REMOTE_|STBDS_|stbds_|_)' "$out/new"
fi

# Mistakes.
refused "too few arguments" 'wrong number of arguments for add' 'rr_call(add, 1)'
refused "too many arguments" 'wrong number of arguments for add' 'rr_call(add, 1, 2, 3)'
refused "no arguments" 'wrong number of arguments for add' 'rr_call(add)'
refused "a method's arguments" 'wrong number of arguments for Box_put' 'rr_ask(a, Box_put)'
refused "a constructor's arguments" 'wrong number of arguments for Box_create' \
    'rr_spawn(Box_create, 1, 2)'
refused "a function of seventeen parameters" 'no_more_than_16_parameters' '(void)0; }
REMOTE_FN(int, many, int, a, int, b, int, c, int, d, int, e, int, f, int, g, int, h, int, i, int, j,
    int, k, int, l, int, m, int, n, int, o, int, p, int, q) { return 0'
refused "seventeen arguments" 'no_more_than_16_parameters' \
    'rr_call(add, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17)'
refused "a struct for an int" 'incompatible type|point' 'rr_call(add, p, 1)'
refused "an int for a struct" 'point|invalid initializer' 'rr_call(norm, 1)'
refused "a string for an int" 'integer from pointer|pointer to integer|incompatible' \
    'rr_call(add, s, 1)'
refused "an actor for an int" 'rr_actor' 'rr_call(add, a, 1)'
refused "an unknown function" 'subtract' 'rr_call(subtract, 1, 2)'
refused "an unknown method" 'Box_take' 'rr_ask(a, Box_take)'
refused "a pointer of another type for the result" 'pointer type|incompatible' \
    'double d; rr_get(int, r, &d)'
refused "an actor where a reference is read" 'rr_actor|incompatible' 'int v; rr_get(int, a, &v)'
refused "an int to release" 'rr_release|_Generic|association|int' 'rr_release(1)'
if has gcc; then
    echo '#include "rustyray.h"' >"$out/old.c"
    gcc -std=c99 -I"$root" -c "$out/old.c" -o "$out/object.o" >"$out/message" 2>&1
    check "C99 is told what to do" grep -q 'std=c11' "$out/message"
    if echo '#include "stb_ds.h"' | gcc -E -x c - >/dev/null 2>&1; then
        skip "without stb_ds.h: the compiler finds it by itself"
    else
        gcc -std=c11 -I"$root" -c "$here/implementation.c" -o "$out/object.o" >"$out/message" 2>&1
        check "without stb_ds.h the remedy is told" grep -q '#error.*libstb-dev' "$out/message"
    fi
fi

# The manual's example is the file.
if [ -f "$root/examples/01_hello.c" ] && grep -q '^QUICK EXAMPLE' "$root/rustyray.h"; then
    awk '/^QUICK EXAMPLE/ { on = 1; next } on && /^[A-Z]/ { exit } on' "$root/rustyray.h" |
        sed 's/^    //' | sed -e '/./,$!d' | sed -e :a -e '/^\n*$/{$d;N;ba' -e '}' >"$out/manual.c"
    check "QUICK EXAMPLE is examples/01_hello.c" diff "$out/manual.c" "$root/examples/01_hello.c"
    check "QUICK EXAMPLE has at most 25 lines" test "$(wc -l <"$out/manual.c")" -le 25
else skip "QUICK EXAMPLE: no such file or chapter"; fi
check "no line is longer than 100 columns" eval "! awk 'length > 100 { print FILENAME \": \" FNR }' \
    '$root'/rustyray.h '$root'/tests/*.[ch] '$root'/tests/compile/*.c* | grep ."

echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
