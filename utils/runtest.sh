#!/bin/bash
# Installs what is missing, builds, and runs every test, or those of the suites named.
#   utils/runtest.sh [--suite NAME]…
#     unit         the modules from inside: unit tests, the inputs kept for fuzzers, the layers
#     tcl          the server from outside
#     demo         the demo, on prompts that it makes and on real rollouts, and what the documents show; with
#                  Debian's redis-py and with today's
#     connections  ten thousand of them at once
#     exactly_once producers, consumers and waiters that come and go: who gets what, and how often
#     durability   servers killed with -9, full disks, disks that fail: what is there afterwards
#     sanitizers   these six again under ASan and UBSan
#     fuzz         the fuzzers, for a bounded time
#     long         all of these, or those named beside it, with full numbers: rounds, samples, minutes
# The last line sums all suites: N passed, N failed, N skipped. Logs are in build/logs.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1

usage() {
    sed -n '2,14s/^# //p' "utils/$(basename "$0")" >&2
    exit 2
}

suites=()
long=
while [ $# -gt 0 ]; do
    [ "$1" = --suite ] && [ $# -ge 2 ] || usage
    case $2 in
    unit | tcl | demo | connections | exactly_once | durability | sanitizers | fuzz) suites+=("$2") ;;
    long) long=--long ;;
    *) usage ;;
    esac
    shift 2
done
[ ${#suites[@]} -gt 0 ] || suites=(unit tcl demo connections exactly_once durability sanitizers fuzz)

fuzz_seconds=20
unit_seconds=3600
if [ -n "$long" ]; then
    export TQ_LONG=1
    fuzz_seconds=600
    unit_seconds=36000
fi
warnings=()
[ "${CI-}" = true ] && warnings=(--enable-werror)
export UBSAN_OPTIONS=print_stacktrace=1

# ---------------------------------------------------------------- suites
# Each ends its output with one line: N passed, N failed, N skipped.

# Counts the tests of cmocka's programs one by one, from the TAP in their logs; a program that ends
# badly, or before its plan says, is a failure of its own.
unit() {
    local tree=build/$1 passed=0 failed=0 skipped=0 result
    find "$tree/tests" "$tree/utils" \( -name '*.trs' -o -name '*.log' \) -delete 2>/dev/null
    timeout "$unit_seconds" make -C "$tree" -j"$(nproc)" check-fast
    local status=$?
    for result in $(find "$tree/tests" "$tree/utils" -name '*.trs' | sort); do
        local log=${result%.trs}.log verdict counts
        verdict=$(sed -n 's/^:test-result: //p' "$result")
        echo "== ${log#"$tree/"}: $verdict"
        cat "$log"
        counts=$(awk -v verdict="$verdict" '
            /^1\.\.[0-9]+$/ { planned += substr($0, 4) }
            /^ok [0-9]/ { passed++ }
            /^not ok [0-9]/ { if (/# SKIP/) skipped++; else failed++ }
            END {
                if (!planned && verdict == "PASS") passed++
                if (!planned && verdict == "SKIP") skipped++
                if (passed + failed + skipped < planned) failed++
                if (verdict != "PASS" && verdict != "SKIP" && !failed) failed++
                print passed + 0, failed + 0, skipped + 0
            }' "$log")
        # shellcheck disable=SC2086 # three numbers
        set -- $counts
        passed=$((passed + $1)) failed=$((failed + $2)) skipped=$((skipped + $3))
    done
    if [ $status -ne 0 ] && [ $failed -eq 0 ]; then
        echo "make check-fast ended with status $status (124: not within $unit_seconds s): not all tests were run"
        failed=1
    fi
    echo "$passed passed, $failed failed, $skipped skipped"
}

tcl() {
    tclsh tests/tcl/run.tcl --server "build/$1/src/tq-server" $long
}

demo() {
    tests/demo/run.py --server "build/$1/src/tq-server"
}

docs() {
    tests/docs/run.py --server "build/$1/src/tq-server"
}

# With the newest redis-py, in an environment of its own.
demo_today() {
    today tests/demo/run.py "$1"
}

docs_today() {
    today tests/docs/run.py "$1"
}

today() {
    local python=build/python/bin/python
    [ -x $python ] || python3 -m venv build/python || return
    build/python/bin/pip install -q --upgrade redis numpy || return
    $python -c 'import redis; print("redis-py", redis.__version__)'
    $python "$1" --server "build/$2/src/tq-server"
}

# A sanitizer's allocator keeps what was freed: there memory is not judged.
connections() {
    local judge=()
    [ "$1" = sanitizers ] && judge=(--any-memory)
    tests/connections/run.py --server "build/$1/src/tq-server" "${judge[@]}"
}

# With fewer samples and waiters where the server is slow.
exactly_once() {
    local size=$long
    [ "$1" = sanitizers ] && size="$long --small"
    # shellcheck disable=SC2086 # none, one or two options
    tests/exactly_once/run.py --server "build/$1/src/tq-server" $size
}

# With fewer kills where the server is slow.
durability() {
    local size=$long
    [ "$1" = sanitizers ] && size="$long --small"
    # shellcheck disable=SC2086 # none, one or two options
    tests/durability/run.py --server "build/$1/src/tq-server" $size
}

fuzz() {
    tests/fuzz/run.sh --seconds "$fuzz_seconds"
}

# ---------------------------------------------------------------- running them

mkdir -p build/logs
total_passed=0 total_failed=0 total_skipped=0

# run_suite TITLE COMMAND…: a suite that says no count, or fails without saying so, has failed.
run_suite() {
    local title=$1 log=build/logs/${1// /-}.log began=$SECONDS status line
    shift
    "$@" > "$log" 2>&1
    status=$?
    line=$(tail -n 1 "$log")
    if [[ $line =~ ^([0-9]+)\ passed,\ ([0-9]+)\ failed,\ ([0-9]+)\ skipped$ ]]; then
        local passed=${BASH_REMATCH[1]} failed=${BASH_REMATCH[2]} skipped=${BASH_REMATCH[3]}
        [ $((passed + failed + skipped)) -eq 0 ] && failed=1
        [ $status -ne 0 ] && [ "$failed" -eq 0 ] && failed=1
    else
        local passed=0 failed=1 skipped=0
    fi
    printf '%-23s %4d passed, %d failed, %d skipped  (%d s, %s)\n' "$title" "$passed" "$failed" \
        "$skipped" $((SECONDS - began)) "$log"
    if [ "$failed" -gt 0 ]; then
        grep -aE -A 8 '^(FAILED|not ok|ERROR:|FAIL:)|: error: | \*\*\* ' "$log" |
            grep -avE '^(ok|skipped|PASS) ' | head -n 60 || tail -n 25 "$log"
    fi
    total_passed=$((total_passed + passed))
    total_failed=$((total_failed + failed))
    total_skipped=$((total_skipped + skipped))
}

# build TREE OPTION…, once; every suite that cannot run because of it counts as a failure.
declare -A built=()
build() {
    if [ -z "${built[$1]-}" ]; then
        echo "building build/$1"
        utils/build.sh "$@"
        built[$1]=$?
    fi
    [ "${built[$1]}" = 0 ] || total_failed=$((total_failed + 1))
    return "${built[$1]}"
}

deps/install.sh || exit 1
for suite in "${suites[@]}"; do
    case $suite in
    unit | tcl | connections | exactly_once | durability)
        build release "${warnings[@]}" && run_suite "$suite" "$suite" release
        ;;
    demo)
        build release "${warnings[@]}" &&
            for part in demo docs demo_today docs_today; do
                run_suite "${part//_/ }" $part release
            done
        ;;
    sanitizers)
        build sanitizers --enable-sanitizers "${warnings[@]}" &&
            for part in unit tcl demo connections exactly_once durability; do
                run_suite "sanitizers $part" "$part" sanitizers
            done
        ;;
    fuzz) run_suite fuzz fuzz ;;
    esac
done
echo "$total_passed passed, $total_failed failed, $total_skipped skipped"
[ $total_failed -eq 0 ]
