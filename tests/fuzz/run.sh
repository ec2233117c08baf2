#!/bin/bash
# Runs the fuzzers under libFuzzer, ASan and UBSan, each for a bounded time, from what is kept in
# tests/fuzz/corpus/NAME and from what former runs found in build/fuzz/found/NAME.
#   tests/fuzz/run.sh [--seconds N] [NAME…]
# To keep what was found: build/fuzz/tests/fuzz/NAME -merge=1 tests/fuzz/corpus/NAME build/fuzz/found/NAME
set -uo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
cd "$root"

seconds=20
if [ "${1-}" = --seconds ]; then
    seconds=${2:?--seconds needs a number}
    shift 2
fi
names=("$@")
if [ $# -eq 0 ]; then
    for source in tests/fuzz/*.c; do
        names+=("$(basename "$source" .c)")
    done
fi

utils/build.sh fuzz CC=clang --enable-sanitizers --enable-fuzzing -- fuzzers || exit 1

passed=0
failed=0
for name in "${names[@]}"; do
    found=build/fuzz/found/$name
    crashes=build/fuzz/crashes/$name
    log=build/fuzz/$name.log
    mkdir -p "$found" "$crashes"
    options=(-max_total_time="$seconds" -timeout=120 -rss_limit_mb=4096 -print_final_stats=1
        -artifact_prefix="$crashes/")
    [ -e "tests/fuzz/$name.dict" ] && options+=(-dict="tests/fuzz/$name.dict")
    if UBSAN_OPTIONS=print_stacktrace=1 "build/fuzz/tests/fuzz/$name" "${options[@]}" \
        "$found" "tests/fuzz/corpus/$name" > "$log" 2>&1; then
        runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
        echo "ok       $name: ${runs:-?} inputs in $seconds s"
        passed=$((passed + 1))
    else
        echo "FAILED   $name: see $log; the input is in $crashes"
        grep -aE -m 4 ': broken: |ERROR: |SUMMARY: |runtime error: |No such file|^Base64: ' "$log"
        failed=$((failed + 1))
    fi
done
echo "$passed passed, $failed failed, 0 skipped"
[ $failed -eq 0 ] && [ $passed -gt 0 ]
