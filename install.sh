#!/bin/sh
# Places the rcfed program on this machine, and nothing else.
#
#   curl --proto '=https' --tlsv1.2 -sSfL https://github.com/rcfed/rcfed/releases/latest/download/install.sh | sh
#
# RCFED_VERSION      a version such as 0.1.0; default: the latest
# RCFED_INSTALL_DIR  where to put it; default: /usr/local/bin for root, ~/.local/bin for others
# RCFED_BASE_URL     a mirror that holds the archives, and in v0.1.0 and so on those of older versions
# RCFED_SHA256       the archive's checksum, known from elsewhere; default: the one published beside the archive
#
# Everything is in functions and the last line is a group, so that a script cut off anywhere does nothing.

set -eu

main() {
    case "${1:-}" in
        '' | init) ;;
        -h | --help) usage; return 0 ;;
        *) err "unknown argument \`$1\`" "run it without arguments, or with \`init\` and its options" ;;
    esac
    for tool in chmod cp gzip id mkdir mktemp mv rm tar uname; do
        need "$tool"
    done
    target="$(find_target)" || exit 1
    dir="$(find_dir)" || exit 1
    base="$(find_base)" || exit 1
    archive="rcfed-$target.tar.gz"

    temp="$(mktemp -d)" || err "no temporary directory could be made" "set TMPDIR to a directory with room"
    placed=''
    trap clean EXIT
    trap 'exit 129' HUP
    trap 'exit 130' INT
    trap 'exit 143' TERM

    say "fetching $base/$archive"
    fetch "$base/$archive" "$temp/$archive"
    verify "$temp/$archive" "$base/$archive.sha256"
    unpack "$temp/$archive" "rcfed-$target/rcfed"
    place "$temp/rcfed-$target/rcfed" "$dir"
    case "${1:-}" in
        init) chain "$@" ;;
        *) tell_next ;;
    esac
}

usage() {
    printf '%s\n' 'usage: install.sh [init [OPTION...]]' '' \
        "Places the rcfed program; with 'init' it then runs 'rcfed init'." \
        'Environment: RCFED_VERSION, RCFED_INSTALL_DIR, RCFED_BASE_URL, RCFED_SHA256'
}

find_target() {
    [ "$(uname -s)" = Linux ] || err "rcfed runs on Linux only, and this is $(uname -s)" "run it on the server"
    case "$(uname -m)" in
        x86_64 | amd64) echo x86_64-unknown-linux-musl ;;
        aarch64 | arm64) echo aarch64-unknown-linux-musl ;;
        *) err "there is no rcfed for $(uname -m)" "it is built for x86_64 and aarch64" ;;
    esac
}

find_dir() {
    if [ -n "${RCFED_INSTALL_DIR:-}" ]; then
        case "$RCFED_INSTALL_DIR" in
            /*) echo "$RCFED_INSTALL_DIR" ;;
            *) err "RCFED_INSTALL_DIR is not an absolute path" "start it with /" ;;
        esac
    elif [ "$(id -u)" = 0 ]; then
        echo /usr/local/bin
    else
        [ -n "${HOME:-}" ] || err "HOME is not set" "set RCFED_INSTALL_DIR"
        echo "$HOME/.local/bin"
    fi
}

find_base() {
    version="${RCFED_VERSION:-latest}"
    version="${version#v}"
    case "$version" in
        *[!0-9A-Za-z.+-]*) err "\`$version\` is not a version" "set RCFED_VERSION to one such as 0.1.0" ;;
    esac
    if [ -n "${RCFED_BASE_URL:-}" ]; then
        mirror="${RCFED_BASE_URL%/}"
        case "$mirror" in
            https://*) ;;
            *) is_loopback "$mirror" || err "RCFED_BASE_URL is not an https:// URL" "use https" ;;
        esac
        [ "$version" = latest ] || mirror="$mirror/v$version"
        echo "$mirror"
    elif [ "$version" = latest ]; then
        echo "https://github.com/rcfed/rcfed/releases/latest/download"
    else
        echo "https://github.com/rcfed/rcfed/releases/download/v$version"
    fi
}

# Without TLS only from this very machine, which tests do.
is_loopback() {
    host="${1#http://}"
    [ "$host" != "$1" ] || return 1
    host="${host%%/*}"
    case "$host" in
        *[!0-9a-z.:]*) return 1 ;;
        127.0.0.1 | 127.0.0.1:* | localhost | localhost:*) return 0 ;;
        *) return 1 ;;
    esac
}

fetch() {
    proto='=https'
    if is_loopback "$1"; then proto='=http'; fi
    hint="see whether $1 opens in a browser"
    if curl_works; then
        curl --proto "$proto" --tlsv1.2 -sSfL --retry 3 --connect-timeout 15 -o "$2" "$1" ||
            err "could not fetch $1" "$hint"
    elif has wget; then
        wget -q --tries=3 --timeout=15 -O "$2" "$1" || err "could not fetch $1" "$hint"
    else
        err "neither curl nor wget is here" "sudo apt install curl"
    fi
}

# The curl from snap cannot write outside the home directory.
curl_works() {
    has curl || return 1
    case "$(command -v curl)" in
        /snap/*) has wget || err "the curl from snap cannot write here" "sudo snap remove curl; sudo apt install curl" ;;
        *) return 0 ;;
    esac
    return 1
}

# Refuses whatever cannot be verified.
verify() {
    wanted="${RCFED_SHA256:-}"
    if [ -z "$wanted" ]; then
        fetch "$2" "$1.sha256"
        read -r wanted _ <"$1.sha256" || [ -n "$wanted" ] || err "the checksum at $2 is empty" "try again later"
    fi
    case "$wanted" in
        *[!0-9a-f]*) err "\`$wanted\` is not a SHA-256 checksum" "it has 64 digits and letters a-f" ;;
    esac
    if has sha256sum; then
        found="$(sha256sum <"$1")" || found=''
    elif has shasum; then
        found="$(shasum -a 256 <"$1")" || found=''
    elif has openssl; then
        found="$(openssl dgst -sha256 -r <"$1")" || found=''
    else
        err "there is no sha256sum, shasum or openssl to verify the archive with" "sudo apt install coreutils"
    fi
    found="${found%% *}"
    [ "${#found}" = 64 ] || err "the archive's checksum could not be made" "see whether the disk is full: df -h"
    [ "$found" = "$wanted" ] || err "the archive is not the published one: its checksum is $found, not $wanted" \
        "try again; if it stays so, do not install it, and tell us"
}

unpack() {
    tar -xzf "$1" -C "$temp" "$2" || err "the archive could not be unpacked" "see whether the disk is full: df -h"
    if [ -L "$temp/$2" ] || [ ! -f "$temp/$2" ]; then
        err "there is no program in the archive" "tell us: https://github.com/rcfed/rcfed/issues"
    fi
    chmod 0755 "$temp/$2" || err "the program could not be made executable" "set TMPDIR to another directory"
    shown="$("$temp/$2" --version)" || err "the program does not run from $temp" \
        "if that is mounted noexec, set TMPDIR to another directory"
}

# A running rcfed keeps its file: the new one takes over the name in one step.
place() {
    mkdir -p "$2" || err "$2 could not be made" "run it as root, or set RCFED_INSTALL_DIR"
    [ ! -d "$2/rcfed" ] || err "$2/rcfed is a directory" "set RCFED_INSTALL_DIR to another one"
    placed="$2/.rcfed.new.$$"
    cp "$1" "$placed" || err "$2 cannot be written to" "run it as root, or set RCFED_INSTALL_DIR"
    chmod 0755 "$placed" || err "$placed could not be made executable" "set RCFED_INSTALL_DIR to another directory"
    mv -f "$placed" "$2/rcfed" || err "$2/rcfed could not be replaced" "look at it: ls -l $2/rcfed"
    say "installed $shown as $2/rcfed"
}

tell_next() {
    command="rcfed"
    case "$dir" in
        # Where sudo looks, whatever the user's own PATH says.
        /usr/local/bin | /usr/bin) ;;
        *) command="$dir/rcfed" ;;
    esac
    case ":${PATH:-}:" in
        *":$dir:"*) ;;
        *) say "$dir is not in your PATH; to add it: export PATH=\"$dir:\$PATH\"" ;;
    esac
    say ''
    say 'Nothing else on this machine was changed. Next:'
    say "    sudo $command init"
    say 'To remove the program again:'
    say "    rm $dir/rcfed"
}

# The wizard asks questions, but the standard input may be this script.
chain() {
    sudo=''
    if [ "$(id -u)" != 0 ]; then
        need sudo
        sudo=sudo
    fi
    clean
    trap - EXIT
    if [ ! -t 0 ] && (: </dev/tty) 2>/dev/null; then
        exec $sudo "$dir/rcfed" "$@" </dev/tty
    fi
    exec $sudo "$dir/rcfed" "$@"
}

clean() {
    rm -rf "$temp"
    [ -z "$placed" ] || rm -f "$placed"
}

has() { command -v "$1" >/dev/null 2>&1; }

need() { has "$1" || err "\`$1\` is needed and not here" "sudo apt install coreutils gzip tar"; }

say() { printf '%s\n' "$1" >&2; }

err() {
    say "error: $1"
    say "hint: $2"
    exit 1
}

{ main "$@" || exit 1; }
