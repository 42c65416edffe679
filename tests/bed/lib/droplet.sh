# shellcheck shell=bash
# The machines that rcfed works on: a namespace, a view, a Docker engine, an empty tree of files.

# droplet NUMBER: sets D_* to what belongs to it.
droplet() {
    case $1 in
    1) D_NAME=droplet D_HOST=10 ;;
    2) D_NAME=droplet2 D_HOST=20 ;;
    *) die "there is no droplet $1" ;;
    esac
    D_NS=$PREFIX-$D_NAME
    D_DIR=$STATE/$D_NAME
    D_SOCKET=$D_DIR/docker.sock
    D_ROOT=$D_DIR/root
}

# Verbs about one droplet take -2 first. Sets ARGS to the rest.
choose_droplet() {
    local number=1
    case ${1:-} in -2 | --two) number=2 && shift ;; esac
    droplet $number
    # shellcheck disable=SC2034
    ARGS=("$@")
}

docker_api() { curl -fsS --max-time 5 --unix-socket "$D_SOCKET" "http://docker$1"; }
dock() { PATH=$(engine_path "$D_DIR") DOCKER_HOST=unix://$D_SOCKET docker "$@"; }

# dock_each CMD…: CMD with all the ids on stdin, if there are any.
dock_each() {
    local ids
    mapfile -t ids < <(sort -u)
    [ ${#ids[@]} -eq 0 ] || dock "$@" "${ids[@]}" >/dev/null
}

# A killed engine leaves pid files behind, and the next one believes them, even those of zombies nobody waits for.
forget_pids() {
    local file=$D_DIR/exec/containerd/containerd.pid
    rm -f "$D_DIR/docker.pid"
    [ ! -f "$file" ] || birth "$(<"$file")" >/dev/null || rm -f "$file"
}

docker_up() {
    local work=$D_DIR data path minimum=()
    data=$(engine_data)
    path=$(engine_path "$D_DIR")
    [ "$path" = "$PATH" ] || minimum=(DOCKER_MIN_API_VERSION=1.44)
    runs "$D_NAME-docker" >/dev/null || forget_pids
    # rcfed speaks of the image's name; where docker.io is, is the engine's business.
    start "$D_NAME-docker" "$data" nsenter -t "$(runs "$D_NAME")" -m -n -- \
        env -u SSL_CERT_DIR -u DOCKER_HOST SSL_CERT_FILE="$PKI/ca.crt" NO_PROXY='*' no_proxy='*' \
        PATH="$path" "${minimum[@]}" dockerd --data-root "$data" --exec-root "$work/exec" --pidfile "$work/docker.pid" --host "unix://$D_SOCKET" \
        --registry-mirror "http://$NET4.1:5000" --insecure-registry "$NET4.1:5000" --insecure-registry "$NET4.5:5999" --max-download-attempts 2 \
        --experimental --ip6tables --log-level warn
}

docker_wait() { until_ok 30 "Docker on $D_NAME" docker_api /_ping; }

docker_down() {
    stop "$D_NAME-docker" 20
    # An engine that was killed leaves its containerd and shims; they name our directory and are in our namespace.
    local pid
    ns_exists "$D_NS" || return 0
    for pid in $(ip netns pids "$D_NS"); do
        if tr '\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null | grep -qF -- "$D_DIR/exec"; then
            kill -KILL "$pid" 2>/dev/null || true
        fi
    done
    rm -f "$D_DIR/docker.pid"
}

droplet_up() {
    net_droplet "$D_NS" "$D_HOST"
    mkdir -p "$D_DIR" "$D_ROOT"
    if ! runs "$D_NAME" >/dev/null; then view_files "$D_DIR/view"; fi
    local host
    for host in ghcr.io registry.rocket.chat registry-1.docker.io; do
        install -D -m 644 "$PKI/ca.crt" "$D_DIR/view/docker/certs.d/$host/ca.crt"
    done
    view_up "$D_NAME" "$D_NS" "$D_DIR/view"
    # Whoever changed the engine and was killed would leave everybody else with it.
    if [ "$(cat "$D_DIR/engine" 2>/dev/null)" = newer ]; then
        docker_down
        rm -f "$D_DIR/engine"
    fi
    docker_up
}

verb_up() {
    local number numbers=(1)
    need_root
    case ${1:-} in
    '') ;;
    --two) numbers=(1 2) ;;
    *) die "usage: bed up [--two]" ;;
    esac
    verb_images
    inet_up
    for number in "${numbers[@]}"; do
        droplet "$number"
        droplet_up
    done
    for number in "${numbers[@]}"; do
        droplet "$number"
        docker_wait
        forget_stale
    done
}

# An image that was built anew since it was pulled is forgotten, or nobody would pull it again.
forget_stale() {
    local image digest store repository stale=()
    while read -r image digest; do
        case $image in
        ghcr.io/* | registry.rocket.chat/*) store=tls repository=${image#*/} ;;
        */*) store=hub repository=$image ;;
        *) store=hub repository=library/$image ;;
        esac
        repository=$STORES/$store/docker/registry/v2/repositories/${repository%:*}
        repository+=/_manifests/tags/${image##*:}/current/link
        [ ! -f "$repository" ] || [ "$(<"$repository")" = "$digest" ] || stale+=("$image")
    done < <(dock image ls --digests --format '{{.Repository}}:{{.Tag}} {{.Digest}}')
    [ ${#stale[@]} -eq 0 ] || dock image rm -f "${stale[@]}" >/dev/null
}

# A container that was removed while its health check ran may leave its endpoint in the engine's memory (Docker 20.10);
# only a new engine forgets it.
remove_networks() {
    dock network ls -q --filter type=custom | dock_each network rm 2>/dev/null && return
    docker_down
    docker_up
    docker_wait
    dock network ls -q --filter type=custom | dock_each network rm
}

remove_all() {
    dock ps -aq | dock_each rm -fv
    dock volume ls -q | dock_each volume rm -f
    remove_networks
    # An image that was not pulled is something that rcfed made.
    dock image ls -q --filter reference='rcfed*' | dock_each image rm -f
    dock image prune -f >/dev/null
    [ "${1:-}" != --images ] || dock image ls -aq | dock_each image rm -f
    find "$D_ROOT" -mindepth 1 -delete
}

verb_clean() {
    local number
    need_root
    for number in 1 2; do
        droplet $number
        runs "$D_NAME" >/dev/null || continue
        docker_up
        docker_wait
        remove_all "${1:-}"
    done
}

verb_stop_docker() {
    choose_droplet "$@"
    docker_down
}

verb_start_docker() {
    choose_droplet "$@"
    docker_up
    docker_wait
}

verb_down() {
    local number
    need_root
    for number in 1 2; do
        droplet $number
        # Containers first, and hard: each would get ten seconds otherwise.
        if runs "$D_NAME-docker" >/dev/null && docker_api /_ping >/dev/null 2>&1; then
            dock ps -aq | dock_each rm -f || true
        fi
        docker_down
        stop "$D_NAME"
    done
    vm_down
    inet_down
    net_down
    [ "${1:-}" != --purge ] || rm -rf "${STATE:?}"
}
