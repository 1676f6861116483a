# shellcheck shell=bash
# What the rig's scripts share: messages, the folders they work in, packages, and the count of who uses a shared part.
# Source it with TOOL set to the name that stands before every message.

RIG=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# Everything the rig downloads, builds and runs lives here, outside the source tree.
RIG_HOME=${ELKHOUND_RIG_HOME:-${XDG_CACHE_HOME:-$HOME/.cache}/elkhound}
mkdir -p "$RIG_HOME"

say() { echo "$TOOL: $*" >&2; }
die() { say "$*"; exit 1; }

# need_packages WHY PACKAGE...: installs what apt does not list as installed.
need_packages() {
    local why=$1 missing=() package
    shift
    for package; do
        [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || missing+=("$package")
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    command -v apt-get >/dev/null || die "$why needs ${missing[*]}, and there is no apt-get here; install them by hand"
    [ "$(id -u)" = 0 ] || die "$why needs ${missing[*]}; run 'sudo apt-get install ${missing[*]}', or this command as root"
    say "installing ${missing[*]} (for $why)"
    apt_get update
    apt_get install --no-install-recommends "${missing[@]}"
}

# apt_knows PACKAGE: whether it can be installed here; a fresh machine has no lists to look that up in.
apt_knows() {
    command -v apt-cache >/dev/null || return 1
    if [ "$(id -u)" = 0 ] && ! compgen -G '/var/lib/apt/lists/*Packages*' >/dev/null; then apt_get update; fi
    apt-cache show "$1" >/dev/null 2>&1
}

apt_get() {
    local log=$RIG_HOME/apt.log
    DEBIAN_FRONTEND=noninteractive apt-get -y -q -o DPkg::Lock::Timeout=600 -o Acquire::Retries=3 "$@" >"$log" 2>&1 </dev/null && return
    tail -n 15 "$log" >&2
    die "'apt-get $1' failed; the end of $log is above"
}

# wait_until SECONDS COMMAND...: true as soon as the command is; false at the deadline.
wait_until() {
    local end=$((SECONDS + $1))
    shift
    until "$@"; do
        [ $SECONDS -lt $end ] || return 1
        sleep 0.2
    done
}

# runs PID WORD: whether PID is alive and WORD is one of its arguments, so that a number which the system
# has given to another process since is never taken for ours.
runs() {
    [ -n "${1:-}" ] && grep -zqsxF -- "$2" "/proc/$1/cmdline"
}

# end PID WORD SECONDS: asks our process to end, and ends it by force when it has not within SECONDS.
end() {
    if runs "$1" "$2"; then kill "$1" 2>/dev/null || true; fi
    wait_until "$3" gone "$1" "$2" && return
    if runs "$1" "$2"; then kill -9 "$1" 2>/dev/null || true; fi
    wait_until 5 gone "$1" "$2" || say "process $1 does not end"
}
gone() { ! runs "$1" "$2" && ! dying "$1"; }
# dying PID: it has been killed, has lost its command line already, and still holds its sockets and locks.
dying() {
    [ -n "${1:-}" ] && [ -d "/proc/$1" ] && [ -z "$(tr -d '\0' <"/proc/$1/cmdline" 2>/dev/null)" ] || return 1
    ! { grep -qs '^State:[[:space:]]*Z' "/proc/$1/status" && [ "$(ls "/proc/$1/task" 2>/dev/null | wc -l)" -le 1 ]; }
}

# ticks PID...: their user and system time, in hundredths of a second.
ticks() {
    local pid sum=0 line
    for pid in "$@"; do
        line=$(cat "/proc/$pid/stat") && line=${line##*) }
        # shellcheck disable=SC2086
        set -- $line && sum=$((sum + ${12} + ${13}))
    done
    echo "$sum"
}

# A shared part (the engine, the node) is used by whoever holds a shared lock on its users.lock; the system gives
# the lock back when the holder ends, however it ends. `kept` is there while somebody wants it up until told otherwise.
#   hold DIR      the calling shell becomes a user, until it ends or calls let_go
#   let_go DIR
#   unused DIR    whether nobody uses or keeps it; while that answer counts, nobody new can begin (call it in a subshell)
declare -A HELD=()
hold() {
    mkdir -p "$1"
    local fd
    exec {fd}>"$1/users.lock"
    flock -s "$fd"
    HELD[$1]=$fd
}
let_go() {
    local fd=${HELD[$1]:-}
    [ -n "$fd" ] || return 0
    exec {fd}>&-
    unset "HELD[$1]"
}
unused() {
    [ ! -e "$1/kept" ] || return 1
    exec 8>"$1/users.lock"
    flock -n -x 8
}

# detached LOG COMMAND...: runs COMMAND in a session of its own, holding none of our locks; its pid is in DETACHED.
detached() {
    local log=$1 fd
    shift
    (
        for fd in /proc/self/fd/*; do
            fd=${fd##*/}
            [ "$fd" -le 2 ] || eval "exec $fd>&-" 2>/dev/null
        done
        exec setsid "$@"
    ) >"$log" 2>&1 </dev/null &
    DETACHED=$!
    disown
}
