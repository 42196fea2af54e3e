#!/usr/bin/env bash
# run.sh JOB... - runs test programs side by side and adds up what they say. A job is the path
# of a program, or "LABEL: COMMAND". Each prints 'N passed, N failed' as its last line; where
# there is an .expected file of the program's name in examples/ or tests/, its output is compared
# with that instead and it counts as one. Prints a line per job, the output of those that fail,
# and last the sum. Run it in the project's root.
#   JOBS=n      so many at once (default: one per processor)
#   TIMEOUT=s   seconds that a job may take (default 300)
set -u
: "${TIMEOUT:=300}" "${JOBS:=$(nproc 2>/dev/null || echo 2)}"

# Runs one program and leaves its status; stdout and stderr go to $2 and $3.
run_job() {
    local job=$1 out=$2 err=$3
    case $job in
    *": "*) timeout -k 5 "$TIMEOUT" bash -c "${job#*: }" >"$out" 2>"$err" ;;
    *.sh) timeout -k 5 "$TIMEOUT" bash "$job" >"$out" 2>"$err" ;;
    *) [ -x "$job" ] || { echo "it was not built" >"$err"; return 127; }
       if [ -n "$expected" ]; then # an example may write files: beside itself
           (cd "$(dirname "$job")" && timeout -k 5 "$TIMEOUT" "./$(basename "$job")") >"$out" 2>"$err"
       else
           timeout -k 5 "$TIMEOUT" "$job" >"$out" 2>"$err"
       fi ;;
    esac
}

# Prints the line of one job and writes its counts to the folder of results.
one_job() {
    local job=$1 results=$2 label expected='' passed=0 failed=0 status start=$SECONDS reason=''
    case $job in *": "*) label=${job%%: *} ;; *) label=${job#build/} ;; esac
    for folder in examples tests; do
        [ -f "$folder/$(basename "$label").expected" ] && expected=$folder/$(basename "$label").expected
    done
    local base out err # a name of its own: process ids come round again
    base=$(mktemp "$results/XXXXXX")
    out=$base.out err=$base.err
    : >"$out"
    : >"$err"
    run_job "$job" "$out" "$err"
    status=$?
    if [ -n "$expected" ]; then
        if [ $status = 0 ] && cmp -s "$out" "$expected"; then passed=1; else failed=1; fi
    else
        read -r passed failed < <(tail -n 1 "$out" |
            sed -n 's/^\([0-9][0-9]*\) passed, \([0-9][0-9]*\) failed$/\1 \2/p')
        [ -n "$passed" ] || { passed=0 failed=1 reason=", no counts at the end"; }
        [ $status = 0 ] || [ "$failed" != 0 ] || failed=1
    fi
    case $status in 0) ;; 124 | 137) reason=", longer than $TIMEOUT s" ;; *) reason=", status $status" ;; esac
    echo "$passed $failed" >"$base.count"
    { # in one write, so that lines of several jobs do not mix
        printf '%-6s %-36s %3d passed, %d failed (%d s%s)\n' \
            "$([ "$failed" = 0 ] && echo ok || echo FAILED)" "$label" "$passed" "$failed" \
            $((SECONDS - start)) "$reason"
        if [ "$failed" != 0 ]; then
            if [ $status = 127 ]; then : # there is no output to show
            elif [ -n "$expected" ]; then diff "$expected" "$out" | head -n 20 | sed 's/^/    /'
            else tail -n 40 "$out" | sed 's/^/    /'; fi
            tail -n 60 "$err" | sed 's/^/    /'
        fi
    } >"$base.text"
    cat "$base.text"
}

if [ "${1-}" = --one ]; then
    one_job "$3" "$2"
    exit 0
fi
results=$(mktemp -d)
trap 'rm -rf "$results"' EXIT
printf '%s\0' "$@" | xargs -0 -n 1 -P "$JOBS" bash "$0" --one "$results"
cat "$results"/*.count 2>/dev/null |
    awk -v jobs=$# '{ passed += $1; failed += $2; n++ }
         END { failed += jobs - n; print passed + 0 " passed, " failed + 0 " failed"; exit failed > 0 }'
