#!/bin/bash
# Builds a tree of tq under build/, from whatever state the clone is in, and quickly when little
# has changed.
#   utils/build.sh NAME [configure option…] [-- make target…]
# Its output goes to build/NAME/build.log; the end of that is shown where something fails.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)

name=${1:?usage: utils/build.sh NAME [configure option…] [-- make target…]}
shift
options=()
while [ $# -gt 0 ]; do
    [ "$1" = -- ] && { shift; break; }
    options+=("$1")
    shift
done

if [ -e "$root/config.status" ]; then
    echo "build.sh: this clone is configured in place, which other build trees cannot live with:" \
         "run 'make distclean' first" >&2
    exit 1
fi

tree=$root/build/$name
mkdir -p "$tree"
log=$tree/build.log
: > "$log"

step() {
    "$@" >> "$log" 2>&1 && return
    echo "build.sh: '$*' failed in build/$name; the end of $log:" >&2
    tail -n 40 "$log" >&2
    exit 1
}

[ -e "$root/configure" ] && [ -e "$root/Makefile.in" ] || step "$root/bootstrap"
cd "$tree"
# Compared with how the tree was configured last, so that a change of options takes effect.
asked="${options[*]}"
if [ ! -e Makefile ] || [ "$(cat options 2>/dev/null)" != "$asked" ]; then
    [ -e Makefile ] && step make clean
    rm -f options
    step "$root/configure" "${options[@]}"
    printf '%s\n' "$asked" > options
fi
step make -j"$(nproc)" "$@"
