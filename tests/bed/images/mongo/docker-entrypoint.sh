#!/bin/bash
# The contract of the official image's entrypoint: root owns the data over to mongodb and becomes it; a mongod without
# an address listens on all. The init variables are refused: what the official script makes of them is not stood in for.
set -Eeuo pipefail

[ "${1:0:1}" != '-' ] || set -- mongod "$@"
if [[ $1 == mongo* ]] && [ "$(id -u)" = 0 ]; then
    if [ "$1" = mongod ]; then
        find /data/configdb /data/db \! -user mongodb -exec chown mongodb '{}' +
    fi
    chown --dereference mongodb "/proc/$$/fd/1" "/proc/$$/fd/2" || :
    exec gosu mongodb "${BASH_SOURCE[0]}" "$@"
fi

if [ "$1" = mongod ]; then
    if [ -n "${MONGO_INITDB_ROOT_USERNAME:-}${MONGO_INITDB_ROOT_PASSWORD:-}${MONGO_INITDB_ROOT_USERNAME_FILE:-}" ]; then
        echo >&2 'error: the bed has no init phase for MONGO_INITDB_ROOT_*; make the user with mongosh'
        exit 1
    fi
    case " $* " in
    *' --bind_ip'* | *' --help '* | *' --version '* | *' -f '* | *' --config'*) ;;
    *) set -- "$@" --bind_ip_all ;;
    esac
fi
exec "$@"
