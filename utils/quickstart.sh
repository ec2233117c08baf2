#!/bin/bash
# From a fresh clone on Debian 12 to a tq that has done its main job: installs what is missing,
# builds, starts a server, runs the demo, stops the server.
#   utils/quickstart.sh [--keep] [--port N] [-- demo option…]
#     --keep      leave the server running, and say how to stop it
#     --port N    where it listens (6399)
#     -- …        for the demo, such as --data FILE or --workers 8 (utils/demo/demo.py --help)
set -euo pipefail
cd "$(dirname "$0")/.."

usage() {
    sed -n '2,7s/^# //p' "utils/$(basename "$0")" >&2
    exit 2
}

keep=
port=6399
while [ $# -gt 0 ]; do
    case $1 in
    --keep) keep=yes ;;
    --port) port=${2-}; shift ;;
    --) shift; break ;;
    *) usage ;;
    esac
    shift || usage
done
if ! [[ $port =~ ^[1-9][0-9]{0,4}$ ]] || [ "$port" -gt 65535 ]; then
    echo "quickstart: --port: expected a number from 1 to 65535, got '$port'" >&2
    exit 2
fi

run=build/quickstart
mkdir -p "$run"

listening() {
    (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null
}

if listening; then
    echo "quickstart: something listens on port $port already; name another with --port N" >&2
    left=$(cat "$run/$port.pid" 2>/dev/null || true)
    if [ -n "$left" ] && kill -0 "$left" 2>/dev/null; then
        echo "(it is the server that an earlier --keep left: kill $left stops it)" >&2
    fi
    exit 1
fi

deps/install.sh --build --demo
echo "building build/release"
utils/build.sh release -- all

# A session of its own: neither the end of this terminal nor its ^C reaches a server that is kept.
setsid build/release/src/tq-server --port "$port" < /dev/null > "$run/$port.log" 2>&1 &
server=$!
echo $server > "$run/$port.pid"
stop() {
    kill "$server" 2>/dev/null || true
    wait "$server" || true
    rm -f "$run/$port.pid"
}
trap stop EXIT

until listening; do
    if ! kill -0 "$server" 2>/dev/null; then
        echo "quickstart: the server did not start:" >&2
        cat "$run/$port.log" >&2
        exit 1
    fi
    sleep 0.05
done

utils/demo/demo.py --port "$port" "$@"

if [ -n "$keep" ]; then
    trap - EXIT
    disown "$server"
    echo
    echo "tq is still running: try redis-cli -p $port (log: $run/$port.log)"
    echo "To stop it: kill $server"
fi
