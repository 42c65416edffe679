#!/bin/sh
# As the official one: scripts in /docker-entrypoint.d run first, then the command takes over.
set -e
if [ "$1" = nginx ] || [ "$1" = nginx-debug ]; then
    for script in /docker-entrypoint.d/*.sh; do
        [ ! -x "$script" ] || "$script"
    done
    echo "$0: Configuration complete; ready for start up"
fi
exec "$@"
