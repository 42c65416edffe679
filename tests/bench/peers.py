"""The peers: docker compose, lego and certbot of today, fetched once into the bed's cache."""

import platform
import shutil
import subprocess
from pathlib import Path

SUITE = "forky"  # where Debian has them newer than the machine does


class Tools:
    def __init__(self, root, venv):
        self.compose = root / "usr/libexec/docker/cli-plugins/docker-compose"
        self.lego = root / "usr/bin/lego"
        self.certbot = venv / "bin/certbot"

    def certificates(self, droplet):
        """Commands by name, each of which orders a new certificate for the given names by HTTP-01 on port 80."""
        work = droplet.state / "bench-certificates"
        # An authority of an earlier run knew these accounts, this one does not.
        shutil.rmtree(work, ignore_errors=True)
        directory, ca = droplet.env["ACME_DIRECTORY"], droplet.env["ACME_CA"]

        def certbot(names):
            domains = [word for name in names for word in ("-d", name)]
            return ["env", f"REQUESTS_CA_BUNDLE={ca}", self.certbot, "certonly", "--standalone", "--non-interactive",
                    "--agree-tos", "--quiet", "--force-renewal", "-m", "admin@other.test", "--server", directory,
                    "--config-dir", work / "certbot", "--work-dir", work / "certbot", "--logs-dir", work / "certbot",
                    *domains]

        def lego(names):
            domains = [word for name in names for word in ("-d", name)]
            return ["env", f"LEGO_CA_CERTIFICATES={ca}", self.lego, "--path", work / "lego", "--accept-tos", "--email",
                    "admin@other.test", "--server", directory, "--http", *domains, "run"]

        return {"certbot certonly --standalone": certbot, "lego run --http": lego}


def fetch(bed):
    import json

    state = Path(json.loads(bed.verb("env", "--json"))["RCFED_STATE"])
    root, venv = state / "cache/peers/root", state / "cache/peers/certbot"
    if not (root / "usr/bin/lego").exists():
        packages(state / "cache/peers", root)
    if not (venv / "bin/certbot").exists():
        subprocess.run(["/usr/bin/python3", "-m", "venv", venv], check=True)
        subprocess.run([venv / "bin/pip", "install", "--quiet", "certbot"], check=True)
    tools = Tools(root, venv)
    for name, command in {
        "docker compose": [tools.compose, "version", "--short"],
        "lego": [tools.lego, "--version"],
        "certbot": [tools.certbot, "--version"],
    }.items():
        version = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
        print(f"peer: {name} {version} ({platform.machine()})")
    return tools


def packages(cache, root):
    """Unpacks two packages of a newer Debian without installing anything on this machine."""
    uris = ["apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages"]
    mirrors = subprocess.run(uris, check=True, capture_output=True, text=True).stdout.split()
    mirror = next(uri for uri in mirrors if "security" not in uri)
    for directory in ["lists/partial", "archives/partial"]:
        (cache / directory).mkdir(parents=True, exist_ok=True)
    (cache / "sources.list").write_text(f"deb {mirror} {SUITE} main\n")
    options = [f"Dir::Etc::sourcelist={cache}/sources.list", "Dir::Etc::sourceparts=/dev/null",
               f"Dir::State::lists={cache}/lists", f"Dir::Cache={cache}", "Acquire::Check-Valid-Until=false",
               "APT::Sandbox::User=root"]
    apt = ["apt-get", "-qq", *(word for option in options for word in ("-o", option))]
    subprocess.run([*apt, "update"], check=True)
    subprocess.run([*apt, "download", "docker-compose", "lego"], check=True, cwd=cache)
    for package in cache.glob("*.deb"):
        subprocess.run(["dpkg-deb", "-x", package, root], check=True)
