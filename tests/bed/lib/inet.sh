# shellcheck shell=bash
# What the internet has: DNS, two certificate authorities, registries, a federation tester.

VALIDITY=7776000 # of certificates: 90 days, in seconds

inet_curl() { in_ns "$NS_INET" curl -fsS --max-time 5 --noproxy '*' --cacert "$PKI/ca.crt" "$@"; }

acme_config() { # HOST VALIDITY: prints the configuration
    jq -n --arg ip "$NET4.$1" --arg pki "$PKI" --argjson validity "$2" '{pebble: {
        listenAddress: ($ip + ":14000"), managementListenAddress: ($ip + ":15000"),
        certificate: ($pki + "/acme.crt"), privateKey: ($pki + "/acme.key"),
        httpPort: 80, tlsPort: 443, ocspResponderURL: "", externalAccountBindingRequired: false,
        domainBlocklist: ["blocked.test"], retryAfter: {authz: 1, order: 1},
        certificateValidityPeriod: $validity
    }}'
}

acme_up() { # [VALIDITY in seconds]
    local name host
    mkdir -p "$STATE/inet"
    while read -r name host; do
        runs "$name" >/dev/null && continue
        acme_config "$host" "${1:-$VALIDITY}" >"$STATE/inet/$name.json"
        start "$name" "$STATE/inet/$name.json" nsenter --net="/run/netns/$NS_INET" \
            env PEBBLE_VA_NOSLEEP=1 PEBBLE_WFE_NONCEREJECT=0 \
            pebble -config "$STATE/inet/$name.json" -dnsserver "$NET4.53:53"
    done <<<$'acme 1\nacme-staging 2'
    for host in 1 2; do
        until_ok 10 "ACME server $NET4.$host" inet_curl "https://$NET4.$host:15000/roots/0"
    done
    pki_bundle
}

registry_up() { # NAME STORE HOST:PORT [tls]
    local name=$1 store=$2 address=$NET4.$3 tls='{}' config=$STATE/inet/$1.json
    runs "$name" >/dev/null && return 0
    mkdir -p "$STATE/inet" "$STORES/$store"
    [ "${4:-}" != tls ] || tls=$(jq -n --arg pki "$PKI" '{tls: {certificate: ($pki + "/registry.crt"), key: ($pki + "/registry.key")}}')
    # JSON is YAML, which is what it reads.
    jq -n --arg store "$STORES/$store" --arg address "$address" --argjson tls "$tls" '{version: 0.1, log: {level: "warn"},
        storage: {filesystem: {rootdirectory: $store}, delete: {enabled: true}}, http: ({addr: $address} + $tls)}' >"$config"
    start "$name" "$config" nsenter --net="/run/netns/$NS_INET" docker-registry serve "$config"
}

dns_up() {
    local program
    [ -f "$ZONE" ] || zone_default | zone_write
    program=$(standin fault-dns) || exit 1
    stop_if_rebuilt dns "$program"
    start dns "$ZONE" nsenter --net="/run/netns/$NS_INET" "$program" --zone "$ZONE" --listen "$NET4.53:53"
}

tester_up() {
    local program
    program=$(standin federation-tester) || exit 1
    stop_if_rebuilt federation-tester "$program"
    start federation-tester "$PRIVATE:8090" nsenter -t "$(runs inet)" -m -n \
        env -u SSL_CERT_DIR SSL_CERT_FILE="$PKI/bundle.pem" "$program" --listen "$PRIVATE:8090"
}

inet_up() {
    net_inet
    if ! runs inet >/dev/null; then view_files "$STATE/inet/view"; fi
    view_up inet "$NS_INET" "$STATE/inet/view"
    pki_up
    dns_up
    registry_up registry-hub hub 1:5000
    registry_up registry-hub-tls hub 4:443 tls
    registry_up registry-tls tls 3:443 tls
    until_ok 5 'DNS server' in_view inet getent ahostsv4 acme.bed.test
    acme_up
    tester_up
    until_ok 5 'registry 5000' inet_curl "http://$NET4.1:5000/v2/"
    until_ok 5 'registry docker.io' inet_curl --resolve "registry-1.docker.io:443:$NET4.4" https://registry-1.docker.io/v2/
    until_ok 5 'registry ghcr.io' inet_curl --resolve "ghcr.io:443:$NET4.3" https://ghcr.io/v2/
    until_ok 5 'federation tester' in_ns "$NS_INET" curl -sS --max-time 2 "http://$PRIVATE:8090/"
}

inet_down() {
    local name
    for name in federation-tester acme acme-staging registry-hub registry-hub-tls registry-tls dns inet; do
        stop "$name"
    done
}

verb_acme() {
    local validity=$VALIDITY
    [ "${1:-}" = restart ] || die 'usage: bed acme restart [--validity SECONDS]'
    [ "${2:-}" != --validity ] || validity=${3:?}
    stop acme
    stop acme-staging
    acme_up "$validity"
    # It read the bundle when it started.
    stop federation-tester
    tester_up
}
