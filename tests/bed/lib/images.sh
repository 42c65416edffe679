# shellcheck shell=bash
# Builds each images/NAME.sh that changed. Such a file says, by functions of these names:
#   names      lines "STORE REPOSITORY TAG"          (store: hub is docker.io, tls is the others)
#   base       debian or alpine, the layer below
#   inputs     what its content depends on, beyond its own text (paths are hashed, other words are taken as they are)
#   fill ROOT TAG     fills the root file system
#   config TAG        the image's own configuration, as JSON

STORES=$STATE/registry

hash_inputs() { # words on stdin
    local word
    while read -r word; do
        if [ -f "$word" ]; then sha256sum <"$word"; else echo "$word"; fi
    done | sha256sum | cut -d' ' -f1
}

version_of() { dpkg-query -W -f '${Package}=${Version}\n' "$@" 2>/dev/null; }

build_base() { # debian | alpine
    local name=$1 dir=$STATE/cache/base-$1 key
    key=$({
        echo "$BED_HOME/lib/rootfs.sh"
        version_of libc6 coreutils dash bash util-linux sed grep findutils busybox-static curl openssl ca-certificates
    } | hash_inputs)
    [ "$(cat "$dir.key" 2>/dev/null)" != "$key" ] || return 0
    rm -rf "$dir"
    mkdir -p "$dir"
    BELOW='' "layer_$name" "$dir"
    layer_of "$dir" "$dir.tar"
    echo "$key" >"$dir.key"
    step "layer $name ($(du -h "$dir.tar.gz" | cut -f1))"
}

# In a subshell: each file's functions are its own.
build_image() (
    file=$1
    # shellcheck disable=SC1090
    . "$file"
    name=$(basename "$file" .sh)
    base=$(base)
    below=$STATE/cache/base-$base
    key=$({
        printf '%s\n' "$file" "$BED_HOME"/lib/{rootfs,store,images}.sh "$below.key"
        inputs
    } | hash_inputs)
    [ "$(cat "$STATE/cache/image-$name.key" 2>/dev/null)" != "$key" ] || exit 0
    work=$(mktemp -d "$STATE/cache/build.XXXXXX")
    trap 'rm -rf "$work"' EXIT
    while read -r store repository tag; do
        rm -rf "$work/root"
        mkdir "$work/root"
        cp "$below/etc/passwd" "$below/etc/group" "$work/"
        mkdir -p "$work/root/etc"
        mv "$work/passwd" "$work/group" "$work/root/etc/"
        BELOW=$below fill "$work/root" "$tag"
        # What the layer below has as links must stay links.
        layer_of "$work/root" "$work/layer.tar"
        store_image "$STORES/$store" "$repository" "$tag" "$(config "$tag")" "$below.tar" "$work/layer.tar"
        step "image $repository:$tag ($(du -h "$work/layer.tar.gz" | cut -f1))"
        rm -f "$work"/layer.tar*
    done < <(names)
    echo "$key" >"$STATE/cache/image-$name.key"
)

verb_images() {
    local file
    need_root
    setup_done || die "run '$0 setup' first"
    build_standins
    mkdir -p "$STATE/cache" "$STORES"
    build_base debian
    build_base alpine
    for file in "$BED_HOME"/images/*.sh; do
        build_image "$file"
    done
}
