# shellcheck shell=bash
# Which engine the droplet has: the machine's own, or a newer one that refuses old clients.
#
# The newer one is unpacked, not installed. DOCKER_MIN_API_VERSION makes it as strict as Docker 29.

NEWER=$STATE/cache/engine-newer
NEWER_SUITE=forky
NEWER_PACKAGES=(docker.io docker-cli containerd)

# engine_path DIRECTORY: PATH with the droplet's engine first.
engine_path() {
    if [ "$(cat "$1/engine" 2>/dev/null)" = newer ]; then echo "$NEWER/bin:$PATH"; else echo "$PATH"; fi
}

engine_data() { if [ "$(cat "$D_DIR/engine" 2>/dev/null)" = newer ]; then echo "$D_DIR/data-newer"; else echo "$D_DIR/data"; fi; }

newer_fetch() {
    [ ! -d "$NEWER" ] || return 0
    local work=$STATE/cache/engine.new mirror file options
    rm -rf "$work"
    mkdir -p "$work/lists/partial" "$work/archives/partial" "$work/root" "$work/bin" "$STATE/log"
    # shellcheck disable=SC2016  # apt fills it in
    mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | grep -v security | head -n 1)
    echo "deb $mirror $NEWER_SUITE main" >"$work/sources.list"
    options=(-qq -o "Dir::Etc::sourcelist=$work/sources.list" -o Dir::Etc::sourceparts=/dev/null
        -o "Dir::State::lists=$work/lists" -o "Dir::Cache=$work" -o Acquire::Check-Valid-Until=false -o APT::Sandbox::User=root)
    {
        apt-get "${options[@]}" update &&
            (cd "$work/archives" && apt-get "${options[@]}" download "${NEWER_PACKAGES[@]}") &&
            for file in "$work"/archives/*.deb; do dpkg-deb -x "$file" "$work/root" || return 1; done
    } >"$STATE/log/engine.log" 2>&1 9>&- || die "the newer engine could not be fetched (log: $STATE/log/engine.log)"
    for file in sbin/dockerd sbin/docker-proxy bin/docker bin/docker-init bin/containerd bin/containerd-shim-runc-v2 bin/ctr; do
        ln -s "../root/usr/$file" "$work/bin/"
    done
    rm -rf "$work/lists" "$work/archives" "$work"/*.bin
    mv "$work" "$NEWER"
    step "a newer engine"
}

verb_engine() {
    local which=${1:-}
    need_root
    droplet 1
    case $which in
    newer) newer_fetch ;;
    own) ;;
    *) die 'usage: bed engine newer | own' ;;
    esac
    remove_all
    docker_down
    echo "$which" >"$D_DIR/engine"
    docker_up
    docker_wait
}
