# shellcheck shell=bash
# Filling root file systems with the machine's own programs and what they link to.

# Two layers that images stand on, as the official ones do: Debian's small system, and Alpine's busybox.
DEBIAN_TOOLS=(
    sh dash bash env cat chmod chown chgrp cp cut date dd df dirname basename du echo expr false head id install
    ln ls mkdir mkfifo mktemp mv nproc od printenv printf pwd readlink realpath rm rmdir seq sha256sum sleep sort
    stat stty sync tail tee test timeout touch tr true tty uname uniq wc whoami yes base64 md5sum paste tac
    sed grep find xargs awk gzip tar hostname getent setpriv ldconfig
)

# Loaded by name at run time, so ldd does not see them.
NAME_SERVICE=('/lib/*-linux-gnu/libnss_files.so.*' '/lib/*-linux-gnu/libnss_dns.so.*' '/lib/*-linux-gnu/libresolv.so.*')

skeleton() { # ROOT
    mkdir -p "$1"/{etc,dev,proc,sys,run,root,home,opt,srv,mnt,media,var/{lib,log,cache,tmp,run},usr/{bin,sbin,lib,lib64,local/{bin,lib,sbin}}}
    mkdir -p "$1/tmp"
    chmod 1777 "$1/tmp" "$1/var/tmp"
    chmod 700 "$1/root"
    rmdir "$1/var/run"
    ln -s /run "$1/var/run"
    local dir
    for dir in bin sbin lib lib64; do ln -s "usr/$dir" "$1/$dir"; done
    printf '%s\n' 'root:x:0:0:root:/root:/bin/sh' 'nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin' >"$1/etc/passwd"
    printf '%s\n' 'root:x:0:' 'tty:x:5:' 'nogroup:x:65534:' >"$1/etc/group"
    echo 'hosts: files dns' >"$1/etc/nsswitch.conf"
}

add_user() { # ROOT NAME UID GID HOME
    printf '%s:x:%s:%s::%s:/bin/sh\n' "$2" "$3" "$4" "$5" >>"$1/etc/passwd"
    printf '%s:x:%s:\n' "$2" "$4" >>"$1/etc/group"
}

# On machines with a merged /usr the same file has two names; images have one.
merged() { case $1 in /bin/* | /sbin/* | /lib/* | /lib64/*) echo "/usr$1" ;; *) echo "$1" ;; esac; }

# put_libs ROOT FILE…: the shared libraries of FILEs, unless the layer below has them.
put_libs() {
    local root=$1 lib to
    shift
    # Lines of libraries are indented; those below ROOT are bundled and found by their own paths.
    { ldd "$@" 2>/dev/null || true; } | awk '/^\t.*\// { print $(NF - 1) }' | sort -u | while read -r lib; do
        case $lib in "$root"/* | [!/]*) continue ;; esac
        to=$(merged "$lib")
        [ -e "$root$to" ] || [ -e "${BELOW:-/nonexistent}$to" ] || install -D -m 755 "$lib" "$root$to"
    done
}

# put_programs ROOT PROGRAM…: by name or path, with their libraries; each at its own path.
put_programs() {
    local root=$1 program path paths=()
    shift
    for program in "$@"; do
        path=$(PATH=/usr/sbin:/usr/bin:/sbin:/bin command -v "$program") || path=
        case $path in
        /*) ;;
        *) path=$(PATH=/usr/sbin:/usr/bin:/sbin:/bin type -P "$program") || die "no program '$program' on this machine" ;;
        esac
        paths+=("$path")
        install -D -m 755 "$(realpath "$path")" "$root$(merged "$path")"
    done
    put_libs "$root" "${paths[@]}"
}

layer_debian() { # ROOT
    skeleton "$1"
    put_programs "$1" "${DEBIAN_TOOLS[@]}"
    put_glob "$1" "${NAME_SERVICE[@]}"
    put_tree "$1" /usr/lib/locale/C.utf8 /etc/ssl/certs/ca-certificates.crt /usr/share/zoneinfo/UTC
    cp -a /etc/os-release "$1/etc/os-release" 2>/dev/null || cp /usr/lib/os-release "$1/etc/os-release"
    put_programs "$1" /usr/bin/openssl
    cp -L /etc/ssl/openssl.cnf "$1/etc/ssl/openssl.cnf"
}

layer_alpine() { # ROOT
    local applet
    skeleton "$1"
    install -m 755 "$(type -P busybox)" "$1/usr/bin/busybox"
    for applet in $(busybox --list); do
        [ "$applet" = busybox ] || ln -s busybox "$1/usr/bin/$applet"
    done
    put_tree "$1" /etc/ssl/certs/ca-certificates.crt
}

put_tree() { # ROOT PATH…: files or directories, at their own path
    local root=$1 path
    shift
    for path in "$@"; do
        [ -e "$path" ] || continue
        mkdir -p "$root$(dirname "$(merged "$path")")"
        cp -aL "$path" "$root$(merged "$path")"
    done
}

put_glob() { # ROOT GLOB…
    local root=$1 glob
    shift
    for glob in "$@"; do
        # shellcheck disable=SC2046,SC2086
        put_tree "$root" $(compgen -G "$glob")
    done
}

put_file() { # ROOT PATH MODE: content from stdin
    install -D -m "$3" /dev/stdin "$1$2"
}

put_standin() { # ROOT NAME PATH
    install -D -m 755 "$(standin "$2")" "$1$3"
    ! command -v strip >/dev/null || strip "$1$3" 2>/dev/null || true
}
