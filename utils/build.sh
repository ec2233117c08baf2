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

# Those that the scripts of automake refuse, for make splits its rules there.
case $root in
*[\\\"\#\$\&\'\`\ $'\t\n']*)
    echo "build.sh: make can't build in '$root':" \
         "move the clone to a path without blanks, quotes, and \\ # \$ &" >&2
    exit 1
    ;;
esac

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
# Configured again where the options or the libraries are not those of last time.
asked="options ${options[*]}"
found=$(pkg-config --modversion libevent_core jemalloc cmocka 2>&1 || true)
if [ ! -e Makefile ] || [ "$(cat configured 2>/dev/null)" != "$asked"$'\n'"$found" ]; then
    if [ "$(head -n 1 configured 2>/dev/null)" != "$asked" ]; then
        find . \( -name '*.o' -o -name '*.a' \) -delete
    fi
    rm -f configured
    step "$root/configure" "${options[@]}"
    printf '%s\n%s\n' "$asked" "$found" > configured
fi
step make -j"$(nproc)" "$@"
