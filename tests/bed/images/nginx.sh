# shellcheck shell=bash
# docker.io/library/nginx: the machine's nginx with the official image's files and paths.

names() { echo 'hub library/nginx 1.28'; }
base() { echo debian; }
inputs() {
    printf '%s\n' "$BED_HOME"/images/nginx/*
    version_of nginx-light nginx curl
}

fill() {
    local root=$1
    put_programs "$root" /usr/sbin/nginx curl
    add_user "$root" nginx 101 101 /nonexistent
    mkdir -p "$root"/etc/nginx/conf.d "$root"/var/cache/nginx "$root"/var/log/nginx "$root"/usr/share/nginx/html "$root"/var/lib
    cp /etc/nginx/{mime.types,fastcgi_params,scgi_params,uwsgi_params} "$root/etc/nginx/"
    cp "$BED_HOME/images/nginx/nginx.conf" "$root/etc/nginx/"
    cp "$BED_HOME/images/nginx/default.conf" "$root/etc/nginx/conf.d/"
    echo '<h1>Welcome to nginx!</h1>' >"$root/usr/share/nginx/html/index.html"
    install -D -m 755 "$BED_HOME/images/nginx/docker-entrypoint.sh" "$root/docker-entrypoint.sh"
    mkdir -p "$root/docker-entrypoint.d"
    # Debian's temporary files go below /var/lib/nginx, the official image's below /var/cache/nginx.
    ln -s /var/cache/nginx "$root/var/lib/nginx"
    ln -s /dev/stdout "$root/var/log/nginx/access.log"
    ln -s /dev/stderr "$root/var/log/nginx/error.log"
}

config() {
    cat <<'JSON'
{"Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "NGINX_VERSION=1.28.0", "PKG_RELEASE=1~bookworm"],
 "Entrypoint": ["/docker-entrypoint.sh"], "Cmd": ["nginx", "-g", "daemon off;"],
 "ExposedPorts": {"80/tcp": {}}, "StopSignal": "SIGQUIT"}
JSON
}
