#!/bin/sh
# Written by rcfed. Secrets become variables here, so that `docker inspect` does not show them.
set -eu
for file in /run/rcfed/env/*; do
    [ -f "$file" ] || continue
    value=$(cat "$file")
    export "${file##*/}=$value"
done
exec node main.js
