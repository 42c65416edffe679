# shellcheck shell=bash
# ghcr.io/element-hq/synapse: Synapse from PyPI on the machine's Python.

PY=$($PYTHON -c 'import sys; print("python%d.%d" % sys.version_info[:2])')

names() { echo "tls element-hq/synapse v$SYNAPSE_VERSION"; }
base() { echo debian; }
inputs() {
    printf '%s\n' "$BED_HOME"/images/synapse/* "$BED_HOME"/images/shared/* "synapse=$SYNAPSE_VERSION"
    version_of "$PY" "lib$PY-stdlib" curl
}

fill() {
    local root=$1 site
    site=$root/usr/local/lib/$PY/dist-packages
    mkdir -p "$root/usr/lib/$PY" "$root/usr/local/bin" "$site"
    put_programs "$root" "/usr/bin/$PY" curl
    ln -s "$PY" "$root/usr/bin/python3"
    ln -s ../../bin/"$PY" "$root/usr/local/bin/python"
    (cd "/usr/lib/$PY" && tar -c --exclude=__pycache__ --exclude=./test --exclude=./tkinter --exclude=./idlelib \
        --exclude=./ensurepip --exclude=./lib2to3 --exclude='./config-*' --exclude='./sitecustomize.py' .) | tar -x -C "$root/usr/lib/$PY"
    $PYTHON -m compileall -q -j 2 --invalidation-mode unchecked-hash -s "$root" "$root/usr/lib/$PY" >/dev/null || true
    cp -a "$SYNAPSE_DIR/." "$site/"
    rm -rf "${site:?}/bin"
    # shellcheck disable=SC2046
    put_libs "$root" $(find "$root/usr/lib/$PY" "$site" -name '*.so*' -type f)
    add_user "$root" synapse 991 991 /
    install -d "$root/data"
    install -D -m 755 "$BED_HOME/images/shared/gosu" "$root/usr/local/bin/gosu"
    install -D -m 755 "$BED_HOME/images/synapse/start.py" "$root/start.py"
    put_file "$root" /usr/local/bin/register_new_matrix_user 755 <<'PY'
#!/usr/local/bin/python
import sys
from synapse._scripts.register_new_matrix_user import main
sys.exit(main())
PY
}

config() {
    cat <<'JSON'
{"Env": ["PATH=/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8"],
 "Entrypoint": ["/start.py"], "ExposedPorts": {"8008/tcp": {}, "8009/tcp": {}, "8448/tcp": {}},
 "Healthcheck": {"Test": ["CMD-SHELL", "curl -fSs http://localhost:8008/health || exit 1"],
                 "StartPeriod": 5000000000, "Interval": 15000000000, "Timeout": 5000000000}}
JSON
}
