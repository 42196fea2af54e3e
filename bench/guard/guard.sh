#!/usr/bin/env bash
# guard.sh BINARY [update] - instructions of each main path per operation, counted by callgrind as
# the difference of two lengths of run, against the record bench/guard.txt. A path fails if it grew
# by more than 5 %. `make bench-guard UPDATE=1` writes the record anew; commit it with the change
# that explains it. With another compiler than that of the record nothing is compared.
# The last line is 'N passed, N failed'.
set -u
binary=$1 update=${2:-} record=bench/guard.txt short=1000 long=3000
paths='put-get put-bytes call-help submit tree chain wait-one spawn ask tell scope'
compiler="gcc $(gcc -dumpfullversion) -O2, $(uname -m)"
work=$(mktemp -d) && trap 'rm -rf "$work"' EXIT

# instructions PATH N: those of the main thread inside the path's own function.
# The worker that is held does not matter then.
instructions() {
    local out="$work/$1.$2"
    timeout 60 valgrind --tool=callgrind --callgrind-out-file="$out" --fair-sched=yes \
        --collect-atstart=no --toggle-collect="${1//-/_}" "$binary" "$1" "$2" \
        >"$out.log" 2>&1 || return 1
    sed -n 's/^summary: \([0-9]*\).*/\1/p; s/^totals: \([0-9]*\).*/\1/p' "$out" | tail -n 1
}

# Both lengths at once. Prints the instructions per operation, or nothing.
per_operation() {
    instructions "$1" $short >"$work/few" &
    local many few
    many=$(instructions "$1" $long)
    wait $! && few=$(cat "$work/few") && [ -n "$many" ] && [ -n "$few" ] || return 1
    awk "BEGIN { printf \"%.1f\", ($many - $few) / ($long - $short) }"
}

compare() { # NOW BEFORE
    awk -v now="$1" -v before="${2:-0}" 'BEGIN {
        if (!before) print "NEW"; else if (now > 1.05 * before) print "GREW";
        else if (now < 0.95 * before) print "fell"; else print "same" }'
}

write_record() {
    echo "# Instructions per operation (bench/guard/paths.c), $compiler."
    echo "# Written by: make bench-guard UPDATE=1"
    cat "$work/new"
}

passed=0 failed=0
if [ -z "$update" ] && [ -f $record ] && ! grep -qF "$compiler." $record; then
    echo "bench-guard: this is $compiler, $record is not: nothing compared"
    echo "0 passed, 0 failed"
    exit 0
fi
for path in $paths; do
    now=$(per_operation "$path") || { cat "$work/$path".*.log >&2; now=; }
    before=$(awk -v path="$path" '$1 == path { print $2 }' $record 2>/dev/null)
    verdict='does not RUN'
    [ -n "$now" ] && verdict=$(compare "$now" "$before") && echo "$path $now" >>"$work/new"
    case $verdict in same | fell) passed=$((passed + 1)) ;; *) failed=$((failed + 1)) ;; esac
    printf '%-10s %8s instructions, recorded %8s: %s\n' "$path" "$now" "${before:--}" "$verdict"
done
if [ -n "$update" ] && [ "$(wc -l <"$work/new")" = "$(wc -w <<<"$paths")" ]; then
    write_record >$record
    echo "recorded in $record"
    exit 0
fi
if [ $failed != 0 ]; then
    echo "a main path got longer by more than 5 %, is new or does not run. If that is meant:" >&2
    echo "make bench-guard UPDATE=1, and commit bench/guard.txt with the reason." >&2
fi
echo "$passed passed, $failed failed"
[ $failed = 0 ]
