# shellcheck shell=bash
# Images into a registry's storage, without a registry: blobs by digest, links by name (the layout of docker-registry 2).

layer_of() { # ROOT OUT: writes OUT.gz, and OUT.id with the digest of what it unpacks to
    tar -C "$1" --sort=name --mtime=@0 --numeric-owner -cf "$2" .
    sha256sum "$2" | cut -d' ' -f1 >"$2.id"
    gzip -1nf "$2"
}

store_blob() { # STORE FILE: prints the digest
    local digest dir
    digest=$(sha256sum "$2" | cut -d' ' -f1)
    dir=$1/docker/registry/v2/blobs/sha256/${digest:0:2}/$digest
    if [ ! -f "$dir/data" ]; then
        mkdir -p "$dir"
        cp "$2" "$dir/data.new"
        mv "$dir/data.new" "$dir/data"
    fi
    echo "$digest"
}

store_link() { # DIR DIGEST
    mkdir -p "$1"
    printf 'sha256:%s' "$2" >"$1/link.new"
    mv "$1/link.new" "$1/link"
}

# store_image STORE REPOSITORY TAG CONFIG LAYER…: CONFIG is JSON as in the image's own "config"; LAYER as for layer_of.
store_image() {
    local store=$1 repository=$2 tag=$3 config=$4 layer digest layers='[]' ids='[]' work repo
    shift 4
    repo=$store/docker/registry/v2/repositories/$repository
    work=$(mktemp -d "$STATE/cache/store.XXXXXX")
    for layer in "$@"; do
        digest=$(store_blob "$store" "$layer.gz")
        store_link "$repo/_layers/sha256/$digest" "$digest"
        layers=$(jq -c --arg d "sha256:$digest" --argjson s "$(stat -c %s "$layer.gz")" \
            '. + [{mediaType: "application/vnd.docker.image.rootfs.diff.tar.gzip", size: $s, digest: $d}]' <<<"$layers")
        ids=$(jq -c --arg d "sha256:$(cat "$layer.id")" '. + [$d]' <<<"$ids")
    done
    jq -nc --argjson config "$config" --argjson ids "$ids" --arg arch "$(dpkg --print-architecture)" \
        '{architecture: $arch, os: "linux", created: "2026-01-01T00:00:00Z", config: $config,
          rootfs: {type: "layers", diff_ids: $ids},
          history: [$ids[] | {created: "2026-01-01T00:00:00Z", created_by: "rcfed bed"}]}' >"$work/config"
    digest=$(store_blob "$store" "$work/config")
    store_link "$repo/_layers/sha256/$digest" "$digest"
    jq -nc --argjson layers "$layers" --arg d "sha256:$digest" --argjson s "$(stat -c %s "$work/config")" \
        '{schemaVersion: 2, mediaType: "application/vnd.docker.distribution.manifest.v2+json",
          config: {mediaType: "application/vnd.docker.container.image.v1+json", size: $s, digest: $d},
          layers: $layers}' >"$work/manifest"
    digest=$(store_blob "$store" "$work/manifest")
    store_link "$repo/_manifests/revisions/sha256/$digest" "$digest"
    store_link "$repo/_manifests/tags/$tag/index/sha256/$digest" "$digest"
    store_link "$repo/_manifests/tags/$tag/current" "$digest"
    rm -rf "$work"
}
