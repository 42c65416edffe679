# shellcheck shell=bash
# docker.io/library/mongo: the stand-in mongod, mongosh and database tools (the official image has mongodb-database-tools) behind the official image's contract.

names() { printf 'hub library/mongo %s\n' 7.0 8.0; }
base() { echo debian; }
inputs() { printf '%s\n' "$BED_HOME"/images/mongo/* "$BED_HOME"/images/shared/* "$(standin mongod)" "$(standin mongosh)" "$(standin mongodump)"; }

fill() {
    local root=$1
    put_standin "$root" mongod /usr/bin/mongod
    put_standin "$root" mongosh /usr/bin/mongosh
    put_standin "$root" mongodump /usr/bin/mongodump
    put_standin "$root" mongodump /usr/bin/mongorestore
    add_user "$root" mongodb 999 999 /data/db
    install -d -o 999 -g 999 "$root/data" "$root/data/db" "$root/data/configdb"
    chown 0:0 "$root/data"
    install -d "$root/docker-entrypoint-initdb.d"
    install -D -m 755 "$BED_HOME/images/shared/gosu" "$root/usr/local/bin/gosu"
    install -D -m 755 "$BED_HOME/images/mongo/docker-entrypoint.sh" "$root/usr/local/bin/docker-entrypoint.sh"
}

config() {
    jq -n --arg tag "$1" '{
        Env: ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/data/db",
              "MONGO_MAJOR=" + $tag, "MONGO_VERSION=" + $tag + ".16",
              "STANDIN_MONGO_VERSION=" + $tag + ".16"],
        Entrypoint: ["docker-entrypoint.sh"], Cmd: ["mongod"], ExposedPorts: {"27017/tcp": {}},
        Volumes: {"/data/configdb": {}, "/data/db": {}}}'
}
