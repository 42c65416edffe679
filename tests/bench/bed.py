"""The bed from the side of a measurement: commands run in its namespaces without a wrapper whose time would count."""

import json
import os
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

REPO = Path(__file__).resolve().parents[2]
SCRIPT = REPO / "tests/bed/bed"


@dataclass
class Run:
    """What one process cost, its own children included: seconds, seconds, KiB."""

    wall: float
    cpu: float
    rss: int
    stderr: str

    def then(self, other):
        return Run(self.wall + other.wall, self.cpu + other.cpu, max(self.rss, other.rss), self.stderr + other.stderr)


def environment(*flag):
    """What a command of the bed sees; this machine's proxies and certificate stores are not part of it."""
    lines = subprocess.run([SCRIPT, "run", *flag, "env", "-0"], check=True, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    return dict(line.split("=", 1) for line in lines.stdout.split("\0") if "=" in line)


def measure(command, env, expected=0):
    """Runs a command to its end, which has to be the expected one; `env` is its whole environment.

    Memory is told by GNU time: what the kernel tells a parent counts the parent's own pages too.
    """
    words = [str(word) for word in command]
    with tempfile.NamedTemporaryFile("r") as told:
        timed = ["/usr/bin/time", "-q", "-f", "%M", "-o", told.name, *words]
        began = time.perf_counter()
        child = subprocess.Popen(timed, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                                 text=True, env=env)
        text = child.stderr.read()
        _, status, used = os.wait4(child.pid, 0)
        wall = time.perf_counter() - began
        child.returncode = os.waitstatus_to_exitcode(status)
        memory = told.read().strip()
    if child.returncode != expected:
        raise SystemExit(f"{' '.join(words)}: exit {child.returncode}\n{text}")
    return Run(wall, used.ru_utime + used.ru_stime, int(memory), text)


class Bed:
    """Verbs of the bed, each of which has to succeed."""

    def verb(self, *words):
        done = subprocess.run([SCRIPT, *words], stdin=subprocess.DEVNULL, capture_output=True, text=True)
        if done.returncode != 0:
            raise SystemExit(f"bed {' '.join(words)}: {done.stderr}")
        return done.stdout


class Droplet:
    """One of the two machines."""

    def __init__(self, bed, number):
        flag = [] if number == 1 else ["-2"]
        self.env = json.loads(bed.verb("env", *flag, "--json"))
        self.state = Path(self.env["RCFED_STATE"])
        self.root = Path(self.env["RCFED_ROOT"])
        self.name = "droplet" if number == 1 else f"droplet{number}"
        holder = (self.state / "run" / f"{self.name}.pid").read_text().split()[0]
        self.enter = ["nsenter", "-t", holder, "-m", "-n", "--"]
        self.variables = environment(*flag)

    def measure(self, command):
        return measure([*self.enter, *command], self.variables)

    def run(self, command):
        return measure([*self.enter, *command], self.variables)

    def output(self, command):
        words = [str(word) for word in [*self.enter, *command]]
        return subprocess.run(words, check=True, capture_output=True, text=True, env=self.variables).stdout

    def docker(self, *words):
        return self.output(["docker", *words]).split()

    def forget(self, keep_volumes, keep_images=False):
        """Containers, network and images are gone; without `keep_volumes` the machine is empty."""
        for what, listing, removal in [
            ("containers", ["ps", "-aq"], ["rm", "-f"]),
            ("networks", ["network", "ls", "-q", "--filter", "type=custom"], ["network", "rm"]),
        ]:
            found = self.docker(*listing)
            if found:
                self.docker(*removal, *found)
        if not keep_images:
            # What was made here, and not pulled, can be pulled by nobody.
            pulled = [line for line in self.docker("image", "ls", "--format", "{{.Repository}}:{{.Tag}}@{{.ID}}")
                      if not line.startswith("rcfed")]
            if pulled:
                self.docker("image", "rm", "-f", *{line.split("@")[1] for line in pulled})
        if not keep_volumes:
            volumes = self.docker("volume", "ls", "-q")
            if volumes:
                self.docker("volume", "rm", *volumes)
            subprocess.run(["find", self.root, "-mindepth", "1", "-delete"], check=True)

    def answers(self, domain):
        token = self.state / "bench-token"
        token.write_text("bench-registration-token\n")
        path = self.state / f"bench-{domain}.toml"
        path.write_text(
            f'federated_domain = "{domain}"\nprofile = "dendrite"\nemail = "admin@{domain}"\naccept_end_of_life = true\n'
            f'[admin]\nusername = "ada"\n[rocketchat]\nregistration_token_file = "{token}"\n'
            f'federation_tester = "{self.env["FEDERATION_TESTER_HOST"]}"\n'
            f'[acme]\ndirectory = "{self.env["ACME_DIRECTORY"]}"\nstaging_directory = "{self.env["ACME_STAGING"]}"\n'
            f'ca = "{self.env["ACME_CA"]}"\n'
        )
        return path
