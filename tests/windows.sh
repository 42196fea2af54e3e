#!/usr/bin/env bash
# windows.sh - builds the examples and those tests that need nothing of a Unix for Windows, with
# MinGW, and runs them with wine. Run it in the project's root; last line 'N passed, N failed'.
set -uo pipefail
compiler=x86_64-w64-mingw32-gcc
out=build/windows
stb=$(pkg-config --cflags stb 2>/dev/null || echo -I/usr/include/stb)
export WINEDEBUG=-all WINEPREFIX=$PWD/$out/wine
# What the others need: dlopen, fork, mounts, signals, limits of processes.
examples=$(ls examples/[0-9]*.c | grep -v 10_plugin)
tests="test_tasks test_map test_objects test_refs test_control test_deadlock test_fibers
    test_streams test_supervision test_waiting test_memory test_clock stress_actors stress_arena
    stress_control stress_counts stress_deque stress_graphs stress_programs stress_resources
    stress_shutdown stress_streams stress_supervision stress_waiting stress_dependencies"
passed=0 failed=0
mkdir -p $out
wineboot -i >/dev/null 2>&1

count() { # count NAME STATUS
    if [ "$2" = 0 ]; then passed=$((passed + 1)); else
        failed=$((failed + 1))
        echo "FAILED $1"
        tail -n 20 "$out/$1.log" | sed 's/^/    /'
    fi
}
build() { # build SOURCE FLAGS...
    # shellcheck disable=SC2086
    $compiler -std=c11 -O2 -I. -Itests $stb "${@:2}" "$1" -o "$out/$(basename "$1" .c).exe" -static \
        -pthread >"$out/$(basename "$1" .c).log" 2>&1
}
# Its output, without what wine says itself.
start() { timeout -k 5 200 wine "$out/$1.exe" 2>>"$out/$1.log" | tr -d '\r' >"$out/$1.txt"; }

printf '%s\n' '#define RUSTYRAY_IMPLEMENTATION' '#include "rustyray.h"' '#include <windows.h>' \
    'REMOTE_FN(void, nothing, int, x) { (void)x; }' \
    'int main(void) { return rr_init(NULL) != RR_OK || rr_shutdown() != RR_OK; }' \
    >$out/with_windows_h.c
for before in -I. "-include windows.h"; do
    # shellcheck disable=SC2086
    build $out/with_windows_h.c -Wall -Wextra -Werror $before && start with_windows_h
    count with_windows_h $?
done
for source in $examples; do
    name=$(basename "$source" .c)
    build "$source" -Wall -Wextra -Werror && start "$name" &&
        diff "$out/$name.txt" "examples/$name.expected" >>"$out/$name.log"
    count "$name" $?
done
for name in $tests; do
    build "tests/$name.c" && start "$name" &&
        tail -n 1 "$out/$name.txt" | grep -q '^[1-9][0-9]* passed, 0 failed$'
    count "$name" $?
done
echo "$passed passed, $failed failed"
[ $failed = 0 ]
