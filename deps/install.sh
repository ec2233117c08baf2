#!/bin/sh
# Installs what tq needs, as Debian packages by name. Quick, and without apt, where all of it is
# there already.
#   deps/install.sh [--build] [--demo] [--test]      all three where none is named
set -eu

build="gcc libc6-dev make autoconf automake pkg-config libevent-dev libjemalloc-dev libxxhash-dev"
demo="python3 python3-redis python3-numpy"
test="python3-venv libcmocka-dev tcl perl strace redis-server redis-tools clang libclang-rt-14-dev"

usage() {
    sed -n '2,4s/^# //p' "$0" >&2
    exit 2
}

wanted=
for part; do
    case $part in
    --build) wanted="$wanted $build" ;;
    --demo) wanted="$wanted $demo" ;;
    --test) wanted="$wanted $test" ;;
    *) usage ;;
    esac
done
[ $# -gt 0 ] || wanted="$build $demo $test"

# shellcheck disable=SC2016,SC2086 # dpkg expands the format; the names are a list
there=" $(dpkg-query -W -f '${Package}=${db:Status-Status} ' $wanted 2>/dev/null || true)"
missing=
for package in $wanted; do
    case $there in
    *" $package=installed "*) ;;
    *) missing="$missing $package" ;;
    esac
done
[ -n "$missing" ] || exit 0

as_root=
if [ "$(id -u)" != 0 ]; then
    command -v sudo >/dev/null || {
        echo "deps/install.sh: not root and no sudo; as root: apt-get install$missing" >&2
        exit 1
    }
    as_root=sudo
fi

# Debian starts a service when it installs redis-server. The tests start their own where they need
# one, so a policy forbids it while apt runs, unless the machine has a policy already.
policy=/usr/sbin/policy-rc.d
if [ ! -e $policy ]; then
    trap '$as_root rm -f $policy' EXIT
    trap 'exit 1' HUP INT TERM
    printf '#!/bin/sh\nexit 101\n' | $as_root tee $policy >/dev/null
    $as_root chmod +x $policy
fi

echo "installing:$missing"
apt="$as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -y"
$apt update
# shellcheck disable=SC2086 # a list of names
$apt install --no-install-recommends $missing
