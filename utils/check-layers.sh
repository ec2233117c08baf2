#!/bin/sh
# Checks that the sources keep their layers: a file includes files of its own module and of modules
# on lower layers, by a path that shows the module ("store/store.h"), every source is built (listed in
# Makefile.am), and ops are committed by server/commit.c alone.
#   utils/check-layers.sh          the project
#   utils/check-layers.sh --tree D another tree of src/ modules, without the check of Makefile.am
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)

# Violations in the tree in $1, one a line; the exit status says whether there are any.
check_tree() (
    cd "$1"
    find . -name '*.[ch]' | sed 's|^\./||' | sort | xargs awk '
        BEGIN {
            n = split("base:0 store:1 wire:1 persist:2 request:2 benchmark:2 server:3 tools:3 " \
                      "cmd:4 repl:4 cluster:4 http:4", list, " ")
            for (i = 1; i <= n; i++) {
                split(list[i], pair, ":")
                layer[pair[1]] = pair[2]
            }
        }
        function report(what) {
            printf "%s:%d: %s\n", FILENAME, FNR, what
            bad = 1
        }
        FNR == 1 {
            module = FILENAME
            if (!sub("/.*", "", module)) module = ""
            if (module == "" && FILENAME != "main.c") report("only main.c stands outside a module")
            if (module != "" && !(module in layer)) report("no layer is known for the module " module)
            own = module == "" ? 5 : layer[module]
        }
        /^[ \t]*#[ \t]*include[ \t]*"/ {
            split($0, part, "\"")
            other = part[2]
            if (!sub("/.*", "", other) || !(other in layer))
                report("\"" part[2] "\" does not show its module")
            else if (other != module && layer[other] >= own)
                report("layer " own (module == "" ? "" : " (" module ")") " includes layer " \
                         layer[other] " (" other ")")
        }
        END { exit bad }'
)

# One function commits an op: nothing else of the server applies one (store_apply), or asks for room
# in the log (persistence_admit). A start replays ops, and tools look at files.
check_commits() (
    cd "$1"
    status=0
    report() { # report FUNCTION ALLOWED
        found=$(find . -name '*.[ch]' | sed 's|^\./||' | sort | grep -vE "^($2)\$" |
                xargs grep -nE "(^|[^A-Za-z0-9_])$1[[:space:]]*\(" /dev/null) || return 0
        echo "$found" | sed "s|:[^:]*\$|: $1 is for server/commit.c|"
        status=1
    }
    report store_apply 'store/.*|tools/.*|persist/replay\.c|server/(commit|loading)\.c'
    report persistence_admit 'server/(commit\.c|persistence\.[ch])'
    return $status
)

# Every source has its line in Makefile.am, else it is not built or not in the tarball.
check_listed() (
    cd "$root"
    status=0
    for file in $(find src -name '*.[ch]' | sort); do
        grep -qE "(^|[[:space:]])$file([[:space:]]|\$)" Makefile.am && continue
        echo "$file: not listed in Makefile.am"
        status=1
    done
    return $status
)

# A check that never reports anything is worth nothing: it must see each kind of violation.
self_test() {
    tree=$(mktemp -d)
    trap 'rm -rf "$tree"' EXIT
    expect() { # expect ok|bad FILE INCLUDED
        mkdir -p "$tree/$(dirname "$2")"
        printf '/* x */\n#include <stdio.h>\n  #  include "%s"\n' "$3" > "$tree/$2"
        found check_tree "$1" "$2" "including \"$3\""
    }
    expect_call() { # expect_call ok|bad FILE FUNCTION
        mkdir -p "$tree/$(dirname "$2")"
        printf '/* x */\nvoid f(void) { return (void)%s(s, op); }\n' "$3" > "$tree/$2"
        found check_commits "$1" "$2" "calling $3"
    }
    found() { # found CHECK ok|bad FILE WHAT
        if $1 "$tree" > "$tree/violations"; then is=ok; else is=bad; fi
        rm "$tree/$3"
        test "$is" = "$2" && return
        echo "check-layers: $3 $4 should be $2, was found $is" >&2
        exit 1
    }
    expect ok store/a.c store/b.h
    expect ok store/a.c base/span.h
    expect ok cmd/a.c server/b.h
    expect ok main.c cmd/put.h
    expect bad base/a.c store/b.h
    expect bad store/a.h server/b.h
    expect bad store/a.c wire/b.h
    expect bad wire/a.c store/b.h
    expect bad request/a.c persist/b.h
    expect bad server/a.c cmd/b.h
    expect bad cmd/a.c repl/b.h
    expect bad store/a.c b.h
    expect bad store/a.c ../base/span.h
    expect bad attic/a.c base/span.h
    expect bad stray.c base/span.h
    expect_call ok server/commit.c store_apply
    expect_call ok store/store.c store_apply
    expect_call ok cmd/put.c store_apply_to
    expect_call bad cmd/put.c store_apply
    expect_call bad server/server.c store_apply
    expect_call ok server/commit.c persistence_admit
    expect_call bad server/loading.c persistence_admit
}

if [ "${1-}" = --tree ]; then
    check_tree "$2" && check_commits "$2"
    exit
fi
status=0
(self_test)
check_tree "$root/src" || status=1
check_commits "$root/src" || status=1
check_listed || status=1
[ $status = 0 ] && echo "the layers hold"
exit $status
