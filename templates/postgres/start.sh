#!/bin/sh
# Written by rcfed. Makes the cluster once, whole or not at all, then runs the server on it.
set -eu
# Below the volume and not the volume itself: a mount point cannot be renamed.
data=/var/lib/postgresql/data/pg

if [ ! -s "$data/PG_VERSION" ]; then
    if [ -e "$data" ]; then
        echo "$data is there but is no database cluster; move it away or restore a backup" >&2
        exit 1
    fi
    # An interrupted initdb leaves something that looks like a cluster: so it works next to it, and is moved when done.
    rm -rf "$data.new"
    initdb --pgdata="$data.new" --username=postgres --encoding=UTF8 --locale=C \
        --auth-local=peer --auth-host=scram-sha-256
    echo 'host all all all scram-sha-256' >> "$data.new/pg_hba.conf"
    sync
    mv "$data.new" "$data"
fi

exec postgres -D "$data" \
    -c listen_addresses='*' \
    -c max_connections={{ max_connections }} \
    -c unix_socket_directories=/var/run/postgresql
