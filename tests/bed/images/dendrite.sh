# shellcheck shell=bash
# ghcr.io/element-hq/dendrite-monolith: the stand-in, as root, without a health check of its own, like the real one.

names() { echo 'tls element-hq/dendrite-monolith v0.15.2'; }
base() { echo alpine; }
inputs() {
    standin dendrite
    version_of curl
}

fill() {
    local root=$1
    put_standin "$root" dendrite /usr/bin/dendrite
    put_programs "$root" curl
    put_glob "$root" "${NAME_SERVICE[@]}"
    install -d "$root/etc/dendrite"
}

config() {
    cat <<'JSON'
{"Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
 "Entrypoint": ["/usr/bin/dendrite"], "WorkingDir": "/etc/dendrite", "Volumes": {"/etc/dendrite": {}},
 "ExposedPorts": {"8008/tcp": {}, "8448/tcp": {}}}
JSON
}
