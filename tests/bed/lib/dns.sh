# shellcheck shell=bash
# The zone file: "NAME TYPE VALUE" per line. The server reads it again when it changes, so it is replaced, never edited.

ZONE=$STATE/dns/zone

zone_default() {
    local name host
    for name in test bed.test fed.test other.test; do
        printf '%s SOA ns.bed.test hostmaster.bed.test 1 3600 600 86400 60\n%s NS ns.bed.test\n' $name $name
    done
    # Each of these is a zone of its own, or the server would not answer for it.
    for name in ghcr.io:3 registry.rocket.chat:3 registry-1.docker.io:4; do
        printf '%s SOA\n%s NS ns.bed.test\n%s A %s\n' "${name%:*}" "${name%:*}" "${name%:*}" "$NET4.${name#*:}"
    done
    cat <<ZONE
ns.bed.test A $NET4.53
ns.bed.test AAAA $NET6:53
acme.bed.test A $NET4.1
acme-staging.bed.test A $NET4.2
tester.bed.test A $PRIVATE
ZONE
    for name in fed.test:10 other.test:20; do
        host=${name#*:} name=${name%:*}
        printf "%s A $NET4.$host\n%s AAAA $NET6:$host\n" \
            "$name" "$name" "chat.$name" "chat.$name" "matrix.$name" "matrix.$name"
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

# A file that the server cannot use is put back: it would go on with the old records, and only its log would say so.
zone_replace() { # content from stdin
    local log=$STATE/log/dns.log said why
    cp "$ZONE" "$ZONE.old"
    said=$(stat -c %s "$log" 2>/dev/null || echo 0)
    zone_write
    runs dns >/dev/null || return 0
    in_view inet getent ahostsv4 ns.bed.test >/dev/null || true
    why=$(tail -c +$((said + 1)) "$log" | grep 'still serving' || true)
    if [ -n "$why" ]; then
        zone_write <"$ZONE.old"
        die "${why%%; still*}"
    fi
}

verb_dns() {
    local verb=${1:-list} name=${2:-} type=${3:-} rest
    [ -f "$ZONE" ] || zone_default | zone_write
    rest="${*:4}"
    case $verb in
    list) cat "$ZONE" ;;
    reset) zone_default | zone_replace ;;
    set | add)
        [ -n "$rest" ] || [ "${type^^}" = SOA ] || die "usage: bed dns $verb NAME TYPE VALUE…"
        zone_replace < <(
            if [ "$verb" = set ]; then zone_without "$name" "$type"; else cat "$ZONE"; fi
            printf '%s %s %s\n' "$name" "${type^^}" "$rest"
        )
        ;;
    del)
        [ -n "$name" ] || die 'usage: bed dns del NAME [TYPE]'
        zone_replace < <(zone_without "$name" "$type")
        ;;
    *) die "usage: bed dns list | reset | set NAME TYPE VALUE… | add NAME TYPE VALUE… | del NAME [TYPE]" ;;
    esac
}
