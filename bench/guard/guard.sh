#!/usr/bin/env bash
# guard.sh BINARY [update] - instructions of each main path per operation, counted by callgrind as
# the difference of two lengths of run, against bench/guard.txt. Fails if one grew by more than 5 %.
# `make bench-guard UPDATE=1` writes the record anew; commit it with the change that explains it.
set -u
binary=$1 update=${2:-} record=bench/guard.txt short=1000 long=3000 paths='put-get put-bytes call-help chain ask scope'
work=$(mktemp -d) && trap 'rm -rf "$work"' EXIT

instructions() { # PATH N: of the main thread, inside the path's own function
    # Only the function of the path is counted: the worker that is held does not matter then.
    valgrind --tool=callgrind --callgrind-out-file="$work/out" --collect-atstart=no --fair-sched=yes \
        --toggle-collect="${1//-/_}" "$binary" "$1" "$2" >"$work/log" 2>&1 || return 1
    sed -n 's/^summary: \([0-9]*\).*/\1/p; s/^totals: \([0-9]*\).*/\1/p' "$work/out" | tail -n 1
}

status=0
: >"$work/new"
for path in $paths; do
    few=$(instructions "$path" $short) && many=$(instructions "$path" $long) ||
        { cat "$work/log" >&2; echo "bench-guard: $path does not run" >&2; exit 1; }
    now=$(awk "BEGIN { printf \"%.1f\", ($many - $few) / ($long - $short) }")
    before=$(awk -v path="$path" '$1 == path { print $2 }' "$record" 2>/dev/null)
    verdict=$(awk -v now="$now" -v before="${before:-0}" 'BEGIN {
        if (!before) print "new"; else if (now > 1.05 * before) print "GREW";
        else if (now < 0.95 * before) print "fell"; else print "same" }')
    [ "$verdict" = GREW ] && status=1
    printf '%-10s %8s instructions, recorded %8s: %s\n' "$path" "$now" "${before:--}" "$verdict"
    echo "$path $now" >>"$work/new"
done
if [ -n "$update" ] || [ ! -f "$record" ]; then
    { echo "# Instructions per operation (bench/guard/paths.c), $(gcc -dumpfullversion -dumpversion | sed 's/^/gcc /') -O2, x86-64."
      echo "# Written by: make bench-guard UPDATE=1"; cat "$work/new"; } >"$record"
    echo "recorded in $record"
elif [ $status = 1 ]; then
    echo "a main path got longer by more than 5 %. If that is meant: make bench-guard UPDATE=1, and" >&2
    echo "commit bench/guard.txt in the same commit with the reason." >&2
fi
[ -n "$update" ] || exit $status
