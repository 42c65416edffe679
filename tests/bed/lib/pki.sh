# shellcheck shell=bash
# The bed's own authority, for the names that are not rcfed's business: the ACME servers' and the registries'.

PKI=$STATE/pki

pki_ca() {
    [ ! -f "$PKI/ca.crt" ] || return 0
    mkdir -p "$PKI"
    cat >"$PKI/openssl.cnf" <<'CNF'
[req]
distinguished_name = dn
[dn]
[ca]
basicConstraints = critical,CA:TRUE
keyUsage = critical,keyCertSign,cRLSign
subjectKeyIdentifier = hash
CNF
    openssl req -config "$PKI/openssl.cnf" -extensions ca -x509 -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes \
        -subj '/CN=rcfed bed CA' -days 3650 -keyout "$PKI/ca.key" -out "$PKI/ca.crt.new" 2>/dev/null
    mv "$PKI/ca.crt.new" "$PKI/ca.crt"
}

# pki_leaf FILE SAN…: FILE.crt and FILE.key, e.g. DNS:ghcr.io
pki_leaf() {
    local file=$PKI/$1 san
    shift
    [ ! -f "$file.crt" ] || return 0
    san=$(IFS=,; echo "$*")
    openssl req -config "$PKI/openssl.cnf" -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes \
        -subj "/CN=${1#*:}" -keyout "$file.key" -out "$file.csr" 2>/dev/null
    openssl x509 -req -in "$file.csr" -CA "$PKI/ca.crt" -CAkey "$PKI/ca.key" -CAcreateserial -days 3650 -out "$file.crt.new" \
        -extfile <(printf '%s\n' "subjectAltName=$san" extendedKeyUsage=serverAuth basicConstraints=CA:FALSE \
            keyUsage=digitalSignature authorityKeyIdentifier=keyid) 2>/dev/null
    mv "$file.crt.new" "$file.crt"
}

pki_up() {
    pki_ca
    pki_leaf acme DNS:acme.bed.test DNS:acme-staging.bed.test "IP:$NET4.1" "IP:$NET4.2"
    pki_leaf registry DNS:ghcr.io DNS:registry.rocket.chat DNS:registry-1.docker.io
}

# What a public root store would hold: the bed's authority and the roots that the running ACME servers made.
pki_bundle() {
    local host
    {
        cat "$PKI/ca.crt"
        for host in 1 2; do
            in_ns "$NS_INET" curl -fsS --max-time 5 --cacert "$PKI/ca.crt" "https://$NET4.$host:15000/roots/0"
        done
    } >"$PKI/bundle.pem.new" || die "the ACME servers do not give their roots"
    mv "$PKI/bundle.pem.new" "$PKI/bundle.pem"
}
