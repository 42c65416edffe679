#!/usr/local/bin/python
"""The `run` mode of Synapse's own /start.py: find the configuration, become 991:991, run. Nothing is chowned."""

import os
import sys


def error(text):
    sys.stderr.write(text + "\n")
    sys.exit(2)


def main(argv, environ):
    mode = argv[1] if len(argv) > 1 else "run"
    if mode != "run":
        error(f"mode '{mode}' is not in the bed's image; the official one knows run, generate, migrate_config")

    args = argv[2:]
    if "-m" not in args:
        args = ["-m", environ.get("SYNAPSE_WORKER", "synapse.app.homeserver")] + args
    if not any(arg.startswith(("--config-path", "-c")) for arg in args):
        config_dir = environ.get("SYNAPSE_CONFIG_DIR", "/data")
        config = environ.get("SYNAPSE_CONFIG_PATH", config_dir + "/homeserver.yaml")
        if not os.path.exists(config):
            error(
                f"Config file '{config}' does not exist. You should either create a new config file by running with "
                "the `generate` argument (and then edit the resulting file before restarting) or specify the path to "
                "an existing config file with the SYNAPSE_CONFIG_PATH variable."
            )
        args += ["--config-path", config]

    print("Starting synapse with args " + " ".join(args), flush=True)
    args = [sys.executable] + args
    if os.getuid() == 0:
        owner = environ.get("UID", "991") + ":" + environ.get("GID", "991")
        os.execvpe("gosu", ["gosu", owner] + args, environ)
    os.execve(sys.executable, args, environ)


main(sys.argv, dict(os.environ))
