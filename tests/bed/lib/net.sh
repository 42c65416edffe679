# shellcheck shell=bash
# Two or three namespaces on one Ethernet, addresses from the documentation ranges, no way out.

NET4=198.51.100
NET6=2001:db8:51:
INET_HOSTS=(1 2 3 4 53)                 # what each is: README.md
PRIVATE=10.51.0.1                       # for what must not be public: the federation tester, asked over plain HTTP
SPARE_HOSTS=(5 6 7 8 9)                 # for what a test starts itself

ns_exists() { [ -e "/run/netns/$1" ]; }
in_ns() { nsenter --net="/run/netns/$1" "${@:2}"; }

ns_make() { # NAME: refuses one that this bed did not make
    if ns_exists "$1"; then
        grep -qx "$1" "$STATE/run/namespaces" 2>/dev/null ||
            die "the namespace $1 exists and is not this bed's (RCFED_BED_NS chooses another prefix)"
        return 1
    fi
    mkdir -p "$STATE/run"
    echo "$1" >>"$STATE/run/namespaces"
    ip netns add "$1"
    ip -n "$1" link set lo up
}

net_inet() {
    local host
    if ns_make "$NS_INET"; then
        # An address of its own: otherwise it takes that of one of its ports, and whenever a machine comes or goes the others
        # send to one that is no more, for as long as they remember it.
        ip -n "$NS_INET" link add br0 address 02:00:00:51:00:01 type bridge
        ip -n "$NS_INET" link set br0 up
    fi
    # Whoever asks for an address outside is told at once that there is no outside.
    {
        for host in "${INET_HOSTS[@]}" "${SPARE_HOSTS[@]}"; do
            echo "addr replace $NET4.$host/24 dev br0"
            echo "addr replace $NET6:$host/64 dev br0 nodad"
        done
        echo "addr replace $PRIVATE/32 dev br0"
        echo 'route replace unreachable default'
    } | ip -n "$NS_INET" -batch -
    ip -n "$NS_INET" -6 route replace unreachable default
    in_ns "$NS_INET" sh -c 'echo 1 >/proc/sys/net/ipv4/ip_forward; echo 1 >/proc/sys/net/ipv6/conf/all/forwarding'
}

net_droplet() { # NAMESPACE HOST: e.g. rcfed-droplet 10
    local ns=$1 host=$2
    ns_make "$ns" || return 0
    ip -n "$NS_INET" link add "d$host" type veth peer name eth0 netns "$ns"
    ip -n "$NS_INET" link set "d$host" master br0 up
    # Neither is a router that listens to others, nor does it wait for duplicates of its address.
    in_ns "$ns" sh -c 'echo 0 >/proc/sys/net/ipv6/conf/eth0/accept_ra; echo 0 >/proc/sys/net/ipv6/conf/eth0/accept_dad
        echo 1 >/proc/sys/net/ipv6/conf/all/forwarding'
    ip -n "$ns" addr add "$NET4.$host/24" dev eth0
    ip -n "$ns" addr add "$NET6:$host/64" dev eth0 nodad
    ip -n "$ns" link set eth0 up
    ip -n "$ns" route add default via "$NET4.1"
    ip -n "$ns" -6 route add default via "$NET6:1"
}

# A view is a mount namespace with files of the bed in place of the machine's; a sleeping process holds it.
# shellcheck disable=SC2016
view_up() { # NAME NAMESPACE FILES: FILES holds resolv.conf, hosts, docker/
    start "$1" "$STATE" nsenter --net="/run/netns/$2" unshare --mount --propagation private \
        sh -c '
            set -e
            mount --bind "$1/resolv.conf" /etc/resolv.conf
            mount --bind "$1/hosts" /etc/hosts
            mount --bind "$1/docker" /etc/docker
            if [ -d /run/containerd ]; then mount -t tmpfs tmpfs /run/containerd; fi
            touch "$1/ready"
            exec tail -f "$1/ready"' sh "$3"
    until_ok 5 "view $1" test -e "$3/ready"
}

view_files() { # DIR
    mkdir -p "$1/docker"
    rm -f "$1/ready"
    printf 'nameserver %s\noptions timeout:2 attempts:2\n' "$NET4.53" >"$1/resolv.conf"
    printf '127.0.0.1 localhost\n::1 localhost ip6-localhost\n' >"$1/hosts"
}

# in_view NAME CMD…: CMD in the view's namespaces, in the same directory.
in_view() {
    local pid
    pid=$(runs "$1") || die "$1 is not up (bed up)"
    shift
    # shellcheck disable=SC2016
    nsenter -t "$pid" -m -n -- sh -c 'cd "$1" 2>/dev/null || cd /; shift; exec "$@"' sh "$PWD" "$@"
}

net_down() {
    local ns pid
    [ -f "$STATE/run/namespaces" ] || return 0
    while read -r ns; do
        ns_exists "$ns" || continue
        for pid in $(ip netns pids "$ns"); do
            say "still in $ns: pid $pid $(tr '\0' ' ' <"/proc/$pid/cmdline" | cut -c 1-80)"
        done
        ip netns del "$ns"
    done <"$STATE/run/namespaces"
    rm -f "$STATE/run/namespaces"
}
