# shellcheck shell=bash
# Packages of the machine, Synapse from PyPI, the target of the stand-ins.

PACKAGES=(
    ca-certificates curl jq openssl procps tmux
    docker.io iproute2 iptables docker-registry pebble
    nsd unbound ldnsutils
    nginx-light postgresql locales busybox-static
    python3 python3-venv
    gcc musl-tools
    debootstrap apt-utils time
    shellcheck
)
# Web servers that only the long tests need.
LONG_PACKAGES=(apache2-bin caddy)
SYNAPSE_VERSION=1.163.2
SYNAPSE_DIR=$STATE/cache/synapse-$SYNAPSE_VERSION
PYTHON=/usr/bin/python3 # the system's: it goes into the image

packages_missing() {
    local package wanted=("${PACKAGES[@]}")
    [ -z "${RCFED_TEST_ALL-}" ] || wanted+=("${LONG_PACKAGES[@]}")
    for package in "${wanted[@]}"; do
        # Docker's own packages do as well, and would be driven out by Debian's.
        [ "$package" != docker.io ] || [ ! -x /usr/bin/dockerd ] || continue
        [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || echo "$package"
    done
}

# Nothing that is installed here is to run as a service of the machine, nor a database cluster to be made.
apt_quietly() {
    local policy=/usr/sbin/policy-rc.d made=
    if [ ! -e $policy ]; then
        printf '#!/bin/sh\nexit 101\n' >$policy
        chmod 755 $policy
        made=1
    fi
    if [ ! -e /etc/postgresql-common/createcluster.conf ]; then
        install -d /etc/postgresql-common
        echo 'create_main_cluster = false' >/etc/postgresql-common/createcluster.conf
    fi
    local rc=0
    DEBIAN_FRONTEND=noninteractive apt-get -qq -o Dpkg::Options::=--force-confold "$@" \
        >"$STATE/log/apt.log" 2>&1 </dev/null 9>&- || rc=$?
    [ -z "$made" ] || rm -f $policy
    return $rc
}

setup_packages() {
    local missing
    mapfile -t missing < <(packages_missing)
    [ ${#missing[@]} -gt 0 ] || return 0
    [ "$(id -u)" = 0 ] || die "not root, and these packages are missing: ${missing[*]}"
    command -v apt-get >/dev/null || die "no apt-get here; the bed needs: ${missing[*]}"
    mkdir -p "$STATE/log"
    apt_quietly update || die "apt-get update failed (log: $STATE/log/apt.log)"
    apt_quietly install --no-install-recommends -y "${missing[@]}" ||
        die "apt-get install ${missing[*]} failed (log: $STATE/log/apt.log)"
    step "installed: ${missing[*]}"
}

setup_synapse() {
    [ ! -d "$SYNAPSE_DIR" ] || return 0
    local work=$STATE/cache/synapse.new
    mkdir -p "$STATE/cache" "$STATE/log"
    rm -rf "$work"
    {
        $PYTHON -m venv "$work/venv" &&
            "$work/venv/bin/pip" install --quiet --no-compile --target "$work/site" \
                "matrix-synapse==$SYNAPSE_VERSION" psycopg2-binary &&
            # Hashes instead of times, so that the layer's times do not matter.
            $PYTHON -m compileall -q -j 2 --invalidation-mode unchecked-hash "$work/site"
    } >"$STATE/log/pip.log" 2>&1 9>&- || die "Synapse could not be installed from PyPI (log: $STATE/log/pip.log)"
    mv "$work/site" "$SYNAPSE_DIR"
    rm -rf "$work"
    step "Synapse $SYNAPSE_VERSION from PyPI"
}

setup_rust() {
    command -v rustup >/dev/null || return 0
    local component have
    have=$(cd "$REPO" && rustup component list --installed 2>/dev/null)
    for component in rustfmt clippy; do
        [[ $have != *"$component"* ]] || continue
        (cd "$REPO" && rustup component add "$component") >/dev/null 2>&1 9>&- ||
            die "rustup component add $component failed"
        step "Rust component $component"
    done
    [[ $have != *"rust-std-$TARGET"* ]] || return 0
    (cd "$REPO" && rustup target add "$TARGET") >/dev/null 2>&1 9>&- || die "rustup target add $TARGET failed"
    step "Rust target $TARGET"
}

setup_stamp() { printf '%s\n' "${PACKAGES[*]}" "$SYNAPSE_VERSION" "$TARGET" "$($PYTHON -V 2>&1)"; }

setup_done() {
    [ -d "$SYNAPSE_DIR" ] && [ "$(cat "$STATE/setup.done" 2>/dev/null)" = "$(setup_stamp)" ]
}

verb_setup() {
    setup_packages
    setup_done && return 0
    setup_synapse
    setup_rust
    [ -d /etc/docker ] || install -d /etc/docker # where each droplet gets a file system of its own
    setup_stamp >"$STATE/setup.done"
}
