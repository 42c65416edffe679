# shellcheck shell=bash
# What the tests need to know, and running things in the right place.

env_lines() {
    cat <<ENV
RCFED_ROOT=$D_ROOT
DOCKER_HOST=unix://$D_SOCKET
RCFED_METADATA=off
RCFED_PUBLIC_RESOLVERS=none
SSL_CERT_FILE=$PKI/bundle.pem
FEDERATION_TESTER_HOST=http://$PRIVATE:8090
RCFED_STATE=$STATE
RCFED_BED_DIR=$STATE
RCFED_BED_NS=$PREFIX
RCFED_BED_NAMESERVER=$NET4.53
RCFED_BED_ZONE=$ZONE
ACME_DIRECTORY=https://acme.bed.test:14000/dir
ACME_STAGING=https://acme-staging.bed.test:14000/dir
ACME_MANAGEMENT=https://acme.bed.test:15000
ACME_CA=$PKI/ca.crt
RCFED_BED_IPV4=$NET4.$D_HOST
RCFED_BED_IPV6=$NET6:$D_HOST
RCFED_BED_INET_IPV4=$NET4.1
RCFED_BED_INET_IPV6=$NET6:1
RCFED_BED_NETNS=$D_NS
RCFED_BED_INET_NETNS=$NS_INET
RCFED_BED_BIN=$(bin_dir)
ENV
}

verb_env() {
    choose_droplet "$@"
    case ${ARGS[0]:-} in
    '') env_lines ;;
    --json) env_lines | jq -Rn '[inputs | capture("^(?<key>[^=]+)=(?<value>.*)$")] | from_entries' ;;
    *) die 'usage: bed env [-2] [--json]' ;;
    esac
}

# The machine's proxies and certificate stores are not the bed's.
OUTSIDE=(SSL_CERT_DIR CURL_CA_BUNDLE REQUESTS_CA_BUNDLE NIX_SSL_CERT_FILE NODE_EXTRA_CA_CERTS GIT_SSL_CAINFO
    http_proxy https_proxy HTTP_PROXY HTTPS_PROXY all_proxy ALL_PROXY no_proxy NO_PROXY DOCKER_CONTEXT DOCKER_TLS_VERIFY)

run_in() { # VIEW CMD…
    local view=$1 line
    shift
    [ $# -gt 0 ] || die 'which command?'
    need_root
    unset "${OUTSIDE[@]}"
    # rcfed takes RCFED_STATE, which is for scripts, for an answer.
    while read -r line; do export "${line?}"; done < <(env_lines | grep -v ^RCFED_STATE=)
    export REQUESTS_CA_BUNDLE=$PKI/bundle.pem
    in_view "$view" "$@"
}

verb_run() {
    choose_droplet "$@"
    run_in "$D_NAME" "${ARGS[@]}"
}

verb_inet() {
    droplet 1
    run_in inet "$@"
}

verb_status() {
    local name pid images
    for name in inet dns acme acme-staging registry-hub registry-hub-tls registry-tls federation-tester \
        droplet droplet-docker droplet2 droplet2-docker; do
        if pid=$(runs $name); then printf '%-18s up    pid %s\n' $name "$pid"; else printf '%-18s down\n' $name; fi
    done
    images=$(compgen -G "$STORES/*/docker/registry/v2/repositories/*/*/_manifests/tags/*" |
        sed -E "s|^$STORES/||; s|/docker/registry/v2/repositories/| |; s|/_manifests/tags/|:|" || true)
    printf '%s\n' "${images:-no images}"
}
