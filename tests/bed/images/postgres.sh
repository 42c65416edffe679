# shellcheck shell=bash
# docker.io/library/postgres: the machine's PostgreSQL (Debian's newest installed) behind the official image's contract.

PG_BIN=$(compgen -G '/usr/lib/postgresql/*/bin' | sort -V | tail -1)
PG_VERSION=$(basename "$(dirname "$PG_BIN")")
PG_PROGRAMS=(initdb postgres psql pg_isready pg_ctl pg_dump pg_dumpall pg_restore pg_controldata createdb createuser dropdb dropuser vacuumdb reindexdb)

names() { echo 'hub library/postgres 17'; }
base() { echo debian; }
inputs() {
    printf '%s\n' "$BED_HOME"/images/postgres/* "$BED_HOME"/images/shared/*
    version_of "postgresql-$PG_VERSION" tzdata locales
}

fill() {
    local root=$1 lib=/usr/lib/postgresql/$PG_VERSION/lib file modules=()
    put_programs "$root" "${PG_PROGRAMS[@]/#/$PG_BIN/}"
    for file in "$lib"/*.so; do
        case $file in */llvmjit*) continue ;; esac
        install -D -m 755 "$file" "$root$file"
        modules+=("$file")
    done
    put_libs "$root" "${modules[@]}"
    mkdir -p "$root/usr/share/postgresql/$PG_VERSION" "$root/usr/share/zoneinfo" "$root/usr/lib/locale"
    (cd "/usr/share/postgresql/$PG_VERSION" && tar -c --exclude=man .) | tar -x -C "$root/usr/share/postgresql/$PG_VERSION"
    (cd /usr/share/zoneinfo && tar -c --exclude=./right --exclude=./posix .) | tar -x -C "$root/usr/share/zoneinfo"
    localedef -i en_US -f UTF-8 --no-archive "$root/usr/lib/locale/en_US.utf8"
    add_user "$root" postgres 999 999 /var/lib/postgresql
    install -d -o 999 -g 999 -m 755 "$root/var/lib/postgresql"
    install -d -o 999 -g 999 -m 1777 "$root/var/lib/postgresql/data"
    install -d -o 999 -g 999 -m 2777 "$root/run/postgresql"
    install -d "$root/docker-entrypoint-initdb.d"
    install -D -m 755 "$BED_HOME/images/shared/gosu" "$root/usr/local/bin/gosu"
    install -D -m 755 "$BED_HOME/images/postgres/docker-entrypoint.sh" "$root/usr/local/bin/docker-entrypoint.sh"
    sed -i "s/^#\?listen_addresses = .*/listen_addresses = '*'/" "$root/usr/share/postgresql/$PG_VERSION/postgresql.conf.sample"
}

config() {
    jq -n --arg bin "$PG_BIN" --arg major "$PG_VERSION" '{
        Env: ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:" + $bin, "LANG=en_US.utf8",
              "PG_MAJOR=" + $major, "PGDATA=/var/lib/postgresql/data"],
        Entrypoint: ["docker-entrypoint.sh"], Cmd: ["postgres"], ExposedPorts: {"5432/tcp": {}},
        Volumes: {"/var/lib/postgresql/data": {}}, StopSignal: "SIGINT"}'
}
