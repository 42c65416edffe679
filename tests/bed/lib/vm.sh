# shellcheck shell=bash
# A whole machine: Debian with systemd as its first process, no Docker, and apt with everything Docker needs.
#
# Not an engine's container but one of runc's, since it lives in a namespace of the bed and has an engine of its own.

VM_NS=$PREFIX-vm
VM_HOST=30
VM_DIR=$STATE/vm
VM_BASE=$STATE/cache/vm-$(uname -m)-2
VM_ID=$PREFIX-vm
# What an administrator of a virtual machine has, but for what a sandbox may lack itself (CAP_SYS_RESOURCE).
VM_CAPABILITIES=(CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP SETFCAP LINUX_IMMUTABLE
    NET_BIND_SERVICE NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_CHROOT SYS_PTRACE SYS_ADMIN SYS_BOOT SYS_NICE
    SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL)

vm_runc() { runc --root "$STATE/run/runc" "$@"; }

verb_vm() {
    local what=${1:-}
    [ $# -eq 0 ] || shift
    need_root
    case $what in
    up) locked vm_up ;;
    down) locked vm_down ;;
    run) vm_runc exec "$VM_ID" "$@" ;;
    reboot) locked vm_reboot "$@" ;;
    path) echo "$VM_DIR/rootfs" ;;
    *) die 'usage: bed vm up | run CMD… | reboot [--power-cut] | path | down' ;;
    esac
}

# Made once: debootstrap, and a repository of the packages that are installed there, since the machine has no way out.
vm_base() {
    [ ! -d "$VM_BASE" ] || return 0
    local work=$STATE/cache/vm.new mirror
    mkdir -p "$STATE/cache" "$STATE/log"
    # shellcheck disable=SC2016  # apt fills it in
    mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | grep -v security | head -n 1)
    rm -rf "$work"
    {
        debootstrap --variant=minbase --include=systemd,systemd-sysv,dbus,ca-certificates,curl,iproute2,procps bookworm "$work" "$mirror" &&
            cp /etc/resolv.conf "$work/etc/resolv.conf" &&
            cp -r /etc/apt/apt.conf.d/. "$work/etc/apt/apt.conf.d/" &&
            rm -f "$work/etc/apt/apt.conf.d/"docker-* &&
            chroot "$work" apt-get clean &&
            chroot "$work" apt-get -q update &&
            chroot "$work" apt-get -q -y --no-install-recommends --download-only install docker.io nginx-light &&
            install -d "$work/srv/apt" &&
            mv "$work"/var/cache/apt/archives/*.deb "$work/srv/apt/" &&
            (cd "$work/srv/apt" && apt-ftparchive packages . >Packages) &&
            echo 'deb [trusted=yes] file:/srv/apt ./' >"$work/etc/apt/sources.list" &&
            rm -rf "$work"/var/lib/apt/lists/*
    } >"$STATE/log/vm-base.log" 2>&1 9>&- || die "the machine could not be made (log: $STATE/log/vm-base.log)"
    # A terminal's login, a time service and a resolver have nothing to do here.
    ln -sf /dev/null "$work/etc/systemd/system/console-getty.service"
    ln -sf /dev/null "$work/etc/systemd/system/systemd-networkd.service"
    ln -sf /dev/null "$work/etc/systemd/system/systemd-resolved.service"
    : >"$work/etc/machine-id"
    mv "$work" "$VM_BASE"
    step "a machine with systemd"
}

vm_config() { # ROOTFS: prints runc's configuration
    jq -n --arg root "$1" --arg netns "/run/netns/$VM_NS" --arg id "$VM_ID" \
        --argjson caps "$(printf '%s\n' "${VM_CAPABILITIES[@]}" | jq -R '"CAP_" + .' | jq -s .)" '
        def tmpfs($path; $options): {destination: $path, type: "tmpfs", source: "tmpfs", options: (["nosuid", "nodev"] + $options)};
        {ociVersion: "1.0.2", hostname: "vm", root: {path: $root},
         process: {terminal: false, cwd: "/", user: {uid: 0, gid: 0}, args: ["/sbin/init"],
            env: ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "container=runc"],
            capabilities: {bounding: $caps, effective: $caps, permitted: $caps, inheritable: $caps}},
         mounts: [
            {destination: "/proc", type: "proc", source: "proc"},
            {destination: "/dev", type: "tmpfs", source: "tmpfs", options: ["nosuid", "mode=755", "size=65536k"]},
            {destination: "/dev/pts", type: "devpts", source: "devpts", options: ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"]},
            {destination: "/dev/mqueue", type: "mqueue", source: "mqueue", options: ["nosuid", "noexec", "nodev"]},
            {destination: "/sys", type: "sysfs", source: "sysfs", options: ["nosuid", "noexec", "nodev"]},
            {destination: "/sys/fs/cgroup", type: "cgroup", source: "cgroup", options: ["nosuid", "noexec", "nodev", "relatime", "rw"]},
            tmpfs("/dev/shm"; ["mode=1777"]), tmpfs("/run"; ["mode=755"]), tmpfs("/run/lock"; ["mode=1777"]), tmpfs("/tmp"; ["mode=1777"])],
         linux: {cgroupsPath: ("/" + $id), rootfsPropagation: "shared",
            resources: {devices: [{allow: true, access: "rwm"}]},
            namespaces: [{type: "pid"}, {type: "ipc"}, {type: "uts"}, {type: "mount"}, {type: "cgroup"}, {type: "network", path: $netns}]}}'
}

vm_files() { # ROOTFS: what an administrator in this network would have set up
    local root=$1 host
    view_files "$VM_DIR/view"
    cp "$VM_DIR/view/resolv.conf" "$root/etc/resolv.conf"
    cp "$VM_DIR/view/hosts" "$root/etc/hosts"
    cp "$PKI/bundle.pem" "$root/etc/ssl/certs/ca-certificates.crt"
    install -D -m 644 "$PKI/ca.crt" "$root/root/ca.crt"
    for host in ghcr.io registry.rocket.chat registry-1.docker.io; do
        install -D -m 644 "$PKI/ca.crt" "$root/etc/docker/certs.d/$host/ca.crt"
    done
    jq -n --arg mirror "http://$NET4.1:5000" --arg plain "$NET4.1:5000" \
        '{"registry-mirrors": [$mirror], "insecure-registries": [$plain]}' >"$root/etc/docker/daemon.json"
}

vm_up() {
    [ -x /usr/sbin/runc ] || [ -x /usr/bin/runc ] || die 'runc is missing (bed setup)'
    vm_base
    inet_up
    vm_down
    mkdir -p "$VM_DIR"
    cp -a --reflink=auto "$VM_BASE" "$VM_DIR/rootfs"
    vm_files "$VM_DIR/rootfs"
    vm_config "$VM_DIR/rootfs" >"$VM_DIR/config.json"
    vm_boot
    step "a machine with systemd runs"
}

vm_boot() {
    net_droplet "$VM_NS" "$VM_HOST"
    (cd "$VM_DIR" && vm_runc run --detach "$VM_ID" </dev/null >"$STATE/log/vm.log" 2>&1 9>&-) ||
        die "the machine did not start (log: $STATE/log/vm.log)"
    until_ok 30 'systemd on the machine' vm_running
}

vm_reboot() {
    if [ "${1:-}" != --power-cut ]; then
        vm_runc exec "$VM_ID" systemctl reboot >/dev/null 2>&1 || true
        until_ok 60 'the end of the machine' vm_stopped
    fi
    vm_gone
    vm_boot
}

vm_stopped() { ! vm_runc state "$VM_ID" 2>/dev/null | grep -q '"status": "running"'; }

# Degraded means that some unit failed, which in a sandbox one may.
vm_running() { vm_runc exec "$VM_ID" systemctl is-system-running | grep -Eqx 'running|degraded'; }

# Its engine's containers die with its first process, and its network with the namespace: an engine's bridges would
# outlive a reboot otherwise.
vm_gone() {
    local tenths=50
    if vm_runc state "$VM_ID" >/dev/null 2>&1; then
        vm_runc kill --all "$VM_ID" KILL 2>/dev/null || true
        until vm_runc delete --force "$VM_ID" >/dev/null 2>&1 || [ $tenths -le 0 ]; do
            tenths=$((tenths - 1))
            sleep 0.1
        done
    fi
    if grep -qx "$VM_NS" "$STATE/run/namespaces" 2>/dev/null && ns_exists "$VM_NS"; then
        ip -n "$NS_INET" link del "d$VM_HOST" 2>/dev/null || true
        ip netns del "$VM_NS"
        # The next one has another hardware address.
        ip -n "$NS_INET" neigh flush dev br0
    fi
}

vm_down() {
    vm_gone
    rm -rf "${VM_DIR:?}/rootfs"
}
