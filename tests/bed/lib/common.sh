# shellcheck shell=bash
# shellcheck disable=SC2034  # the other parts use these names
# Paths, talk, the lock, and processes that are known to be ours.

STATE=${RCFED_BED_DIR:-/tmp/rcfed-bed}
PREFIX=${RCFED_BED_NS:-rcfed}           # of the namespaces' names: two beds need two
NS_INET=$PREFIX-inet
TARGET=${CARGO_BUILD_TARGET:-$(uname -m)-unknown-linux-musl}

say() { printf 'bed: %s\n' "$*" >&2; }
die() {
    say "$*"
    exit 1
}

# The time since the verb began, for the one line each step is allowed.
BEGAN=$EPOCHREALTIME
step() {
    local ms=$(((${EPOCHREALTIME/./} - ${BEGAN/./}) / 1000))
    printf 'bed: %4d.%d s  %s\n' $((ms / 1000)) $((ms % 1000 / 100)) "$*" >&2
}

need_root() { [ "$(id -u)" = 0 ] || die "this verb needs root"; }

# One verb at a time. Whoever comes second waits, since an `up` that finds all up costs nothing.
# Descriptor 9 is the lock; `start` closes it in what stays running.
locked() {
    [ ${#STATE} -le 60 ] || die "RCFED_BED_DIR is too long for the sockets below it: $STATE"
    [ -d "$STATE" ] || install -d -m 755 "$STATE" || exit 1
    { exec 9>"$STATE.lock"; } 2>/dev/null || die "cannot write $STATE.lock (whose bed is it?)"
    flock -w 900 9 || die "another bed verb has held $STATE.lock for 15 minutes"
    "$@"
}

# until_ok SECONDS WHAT CMD…: repeat CMD until it succeeds, or die naming WHAT.
until_ok() {
    local seconds=$1 what=$2 end
    shift 2
    end=$((SECONDS + seconds))
    until "$@" >/dev/null 2>&1; do
        [ "$SECONDS" -lt "$end" ] || die "$what: not ready after $seconds s (logs: $STATE/log)"
        sleep 0.05
    done
}

# A process is ours if its pid has the start time and the program that were written down when it was started.
birth() {
    local stat
    { read -r stat <"/proc/$1/stat"; } 2>/dev/null || return 1
    stat=${stat##*) }
    # shellcheck disable=SC2086
    set -- $stat
    [ "$1" != Z ] && echo "${20}"
}

runs() { # NAME: prints the pid
    local pid born word
    { read -r pid born word <"$STATE/run/$1.pid"; } 2>/dev/null || return 1
    [ "$(birth "$pid")" = "$born" ] || return 1
    tr '\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null | grep -qF -- "$word" || return 1
    echo "$pid"
}

# start NAME WORD CMD…: run CMD detached unless it runs; WORD occurs in its command line. CMD must exec, not fork.
start() {
    local name=$1 word=$2 pid
    shift 2
    runs "$name" >/dev/null && return 0
    mkdir -p "$STATE/run" "$STATE/log"
    setsid "$@" </dev/null >"$STATE/log/$name.log" 2>&1 9>&- &
    pid=$!
    disown "$pid"
    echo "$pid $(birth "$pid") $word" >"$STATE/run/$name.pid"
}

# stop NAME [SECONDS]: TERM, and KILL when the time is up.
stop() {
    local name=$1 tenths=$((${2:-5} * 10)) pid
    if pid=$(runs "$name"); then
        kill -TERM "$pid" 2>/dev/null || true
        while runs "$name" >/dev/null; do
            if [ "$tenths" -le 0 ]; then
                kill -KILL "$pid" 2>/dev/null || true
                break
            fi
            tenths=$((tenths - 1))
            sleep 0.1
        done
    fi
    rm -f "$STATE/run/$name.pid"
}

# A server from the workspace that was built anew since it started is stopped, so that the next `start` takes the new one.
stop_if_rebuilt() { # NAME PROGRAM
    local pid
    pid=$(runs "$1") || return 0
    [ "$(readlink "/proc/$pid/exe")" = "$(realpath "$2")" ] || stop "$1"
}

# Where the stand-ins are: built from the workspace, or given.
bin_dir() { echo "${RCFED_BED_STANDINS:-${CARGO_TARGET_DIR:-$REPO/target}/$TARGET/debug}"; }

standin() { # NAME: prints the path
    local path
    path=$(bin_dir)/$1
    [ -x "$path" ] || die "stand-in '$1' is missing: no $path (cargo build -p rcfed-standins --bins --target $TARGET)"
    echo "$path"
}

build_standins() {
    [ -z "${RCFED_BED_STANDINS:-}" ] || return 0
    command -v cargo >/dev/null || return 0 # the binaries may have been copied here
    (cd "$REPO" && cargo build --quiet -p rcfed-standins --bins --target "$TARGET") 9>&- ||
        die "the stand-ins do not build"
}
