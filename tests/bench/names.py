"""A thousand server names in a network of their own: a root, a domain and a zone on nsd, unbound before them, one nginx.

Everything is real and on this machine, so the servers' work is in the wall time too; the processor time is rcfed's alone.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bed import REPO, environment, measure

COUNT = 1000
ADDRESSES = ["1", "2", "53", "80"]


class Names:
    """Runs while it is entered."""

    def __init__(self, state):
        self.state = state
        self.children = []
        self.variables = {name: value for name, value in environment().items() if not name.startswith("RCFED_")}

    def __enter__(self):
        self.dir = Path(tempfile.mkdtemp(prefix="bench-names", dir=self.state))
        holder = subprocess.Popen(["unshare", "-n", "sleep", "infinity"])
        self.children.append(holder)
        self.net = f"/proc/{holder.pid}/ns/net"
        own = os.readlink("/proc/self/ns/net")
        until(lambda: os.readlink(self.net) != own)
        self.inside(["ip", "link", "set", "lo", "up"])
        for host in ADDRESSES:
            self.inside(["ip", "address", "add", f"198.51.100.{host}/32", "dev", "lo"])
        self.zones()
        self.site()
        until(lambda: self.enter(["curl", "-sk", "-o", "/dev/null", "https://198.51.100.80:8448/"]).returncode == 0)
        until(lambda: "NOERROR" in self.enter(["timeout", "0.5", "drill", "@198.51.100.53", "n1.many.example"]).stdout)
        (self.dir / "names").write_text("".join(f"n{number}.many.example\n" for number in range(COUNT)))
        return self

    def __exit__(self, *_):
        for child in reversed(self.children):
            child.terminate()
        for child in self.children:
            child.wait()
        shutil.rmtree(self.dir)

    def doctor(self, rcfed, *words, expected=0):
        command = [rcfed, "--nameserver", "198.51.100.53", "doctor", "--json", "--ca", self.dir / "ca.pem", *words]
        return measure(["nsenter", f"--net={self.net}", "--", *command], self.variables, expected)

    def enter(self, words):
        return subprocess.run(["nsenter", f"--net={self.net}", "--", *map(str, words)], capture_output=True, text=True)

    def inside(self, words):
        done = self.enter(words)
        if done.returncode != 0:
            raise SystemExit(f"{words}: {done.stderr}")

    def start(self, name, words):
        log = open(self.dir / f"{name}.log", "w")
        words = ["nsenter", f"--net={self.net}", "--", *map(str, words)]
        self.children.append(subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=log, stderr=log))

    def write(self, name, text):
        path = self.dir / name
        path.write_text(text)
        return path

    def zones(self):
        soa = "$TTL 3600\n@ SOA ns.nic.example. host.nic.example. 1 3600 600 86400 900\n@ NS ns.nic.example.\n"
        self.write("root", soa.replace("ns.nic.example.\n", "ns.root-servers.\n", 1).replace("@ NS ns.nic.example.", "@ NS ns.root-servers.")
                   + "ns.root-servers. A 198.51.100.1\nexample. NS ns.nic.example.\nns.nic.example. A 198.51.100.2\n")
        self.write("example", soa + "ns.nic A 198.51.100.2\nmany NS ns.nic\n")
        self.write("many.example", soa + "* A 198.51.100.80\nbadport A 198.51.100.80\n"
                   "_matrix-fed._tcp.badport SRV 0 0 8449 badport\n")
        for host, zones in [("1", {".": "root"}), ("2", {"example": "example", "many.example": "many.example"})]:
            text = (f'server:\n  ip-address: 198.51.100.{host}\n  username: ""\n  pidfile: ""\n  database: ""\n  xfrdfile: ""\n'
                    f'  zonelistfile: "{self.dir}/{host}.list"\n  xfrdir: "{self.dir}"\n  server-count: 1\n  rrl-ratelimit: 0\n'
                    "remote-control:\n  control-enable: no\n")
            for zone, file in zones.items():
                text += f'zone:\n  name: "{zone}"\n  zonefile: "{self.dir}/{file}"\n'
            self.start(f"nsd{host}", ["nsd", "-d", "-c", self.write(f"nsd{host}.conf", text)])
        hints = self.write("hints", ". NS ns.root-servers.\nns.root-servers. A 198.51.100.1\n")
        self.start("unbound", ["unbound", "-d", "-c", self.write(
            "unbound.conf",
            f'server:\n  interface: 198.51.100.53\n  access-control: 0.0.0.0/0 allow\n  username: ""\n  chroot: ""\n'
            f'  pidfile: ""\n  directory: "{self.dir}"\n  use-syslog: no\n  root-hints: "{hints}"\n  do-ip6: no\n'
            "  module-config: iterator\nremote-control:\n  control-enable: no\n")])

    def site(self):
        openssl = lambda *words: subprocess.run(["openssl", *map(str, words)], check=True, capture_output=True)  # noqa: E731
        key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
        openssl("req", "-x509", *key, "-subj", "/CN=bench", "-days", "30", "-keyout", self.dir / "ca.key", "-out", self.dir / "ca.pem")
        openssl("req", *key, "-subj", "/CN=many.example", "-keyout", self.dir / "leaf.key", "-out", self.dir / "leaf.csr")
        names = self.write("ext", "subjectAltName=DNS:*.many.example\n")
        openssl("x509", "-req", "-in", self.dir / "leaf.csr", "-CA", self.dir / "ca.pem", "-CAkey", self.dir / "ca.key",
                "-CAcreateserial", "-days", "20", "-extfile", names, "-out", self.dir / "leaf.pem")
        both = (self.dir / "leaf.pem").read_text() + (self.dir / "leaf.key").read_text()
        for name in ["good", "ended"]:
            self.write(f"{name}.pem", both)
        self.keys()
        conf = REPO / "tests/doctor_remote"
        fill = lambda text: text.replace("@dir@", str(self.dir)).replace("@plain@", "badport.many.example").replace("@redirected@", "none.invalid").replace("@lapsed@", "no.invalid")  # noqa: E731,E501
        self.write("homeserver.conf", fill((conf / "homeserver.conf").read_text()))
        self.start("nginx", ["nginx", "-c", self.write("nginx.conf", fill((conf / "nginx.conf").read_text()))])

    def keys(self):
        """The key document of every name, signed with the libraries of the bed's Synapse."""
        sys.path.append(str(next((self.state / "cache").glob("synapse-*"))))
        from signedjson.key import encode_verify_key_base64, generate_signing_key, get_verify_key
        from signedjson.sign import sign_json

        key = generate_signing_key("bench")
        public = encode_verify_key_base64(get_verify_key(key))
        until = int(time.time() * 1000) + 86_400_000
        (self.dir / "www").mkdir()
        for name in [*(f"n{number}.many.example" for number in range(COUNT)), "badport.many.example"]:
            document = {"server_name": name, "valid_until_ts": until, "verify_keys": {"ed25519:bench": {"key": public}},
                        "old_verify_keys": {}}
            self.write(f"www/{name}.json", json.dumps(sign_json(document, name, key)))


def until(good):
    began = time.monotonic()
    while not good():
        if time.monotonic() - began > 20:
            raise SystemExit("the names' servers do not come up")
        time.sleep(0.02)
