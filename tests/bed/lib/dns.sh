# shellcheck shell=bash
# The zone file: "NAME TYPE VALUE" per line. The server reads it again when it changes, so it is replaced, never edited.

ZONE=$STATE/dns/zone

zone_default() {
    local name
    cat <<ZONE
test SOA ns.bed.test hostmaster.bed.test 1 3600 600 86400 60
test NS ns.bed.test
ns.bed.test A $NET4.53
ns.bed.test AAAA $NET6:53
acme.bed.test A $NET4.1
acme-staging.bed.test A $NET4.2
tester.bed.test A $NET4.1
ghcr.io A $NET4.3
registry.rocket.chat A $NET4.3
registry-1.docker.io A $NET4.4
ZONE
    for name in fed.test chat.fed.test matrix.fed.test; do
        printf '%s A %s\n%s AAAA %s\n' "$name" "$NET4.10" "$name" "$NET6:10"
    done
    for name in other.test chat.other.test matrix.other.test; do
        printf '%s A %s\n%s AAAA %s\n' "$name" "$NET4.20" "$name" "$NET6:20"
    done
}

zone_write() { # content from stdin
    mkdir -p "$STATE/dns"
    cat >"$ZONE.new"
    chmod 644 "$ZONE.new"
    mv "$ZONE.new" "$ZONE"
}

zone_without() { # NAME [TYPE]
    awk -v name="$1" -v type="${2:-}" 'tolower($1) != tolower(name) || (type != "" && toupper($2) != toupper(type))' "$ZONE"
}

verb_dns() {
    local verb=${1:-list} name=${2:-} type=${3:-} rest
    [ -f "$ZONE" ] || zone_default | zone_write
    rest="${*:4}"
    case $verb in
    list) cat "$ZONE" ;;
    reset) zone_default | zone_write ;;
    set | add)
        [ -n "$rest" ] || die "usage: bed dns $verb NAME TYPE VALUE…"
        {
            if [ "$verb" = set ]; then zone_without "$name" "$type"; else cat "$ZONE"; fi
            printf '%s %s %s\n' "$name" "${type^^}" "$rest"
        } | zone_write
        ;;
    del)
        [ -n "$name" ] || die 'usage: bed dns del NAME [TYPE]'
        zone_without "$name" "$type" | zone_write
        ;;
    *) die "usage: bed dns list | reset | set NAME TYPE VALUE… | add NAME TYPE VALUE… | del NAME [TYPE]" ;;
    esac
}
