"""What the relay adds to a transaction on its way from Dendrite to the bridge, and the memory it takes; nginx is the bridge."""

import http.client
import json
import os
import socket
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

EVENTS = 20
TRANSACTIONS = 2000


def figures(rcfed):
    """Seconds of a transaction without and with the relay (medians), and the relay's peak memory in MiB."""
    with tempfile.TemporaryDirectory(prefix="bench-relay") as place:
        place = Path(place)
        bridge, relay = free_port(), free_port()
        conf = place / "nginx.conf"
        conf.write_text(
            f"daemon off; master_process off; pid {place}/pid; error_log stderr crit; events {{}}\n"
            f"http {{ access_log off; client_max_body_size 0; client_body_temp_path {place}/body;\n"
            f"proxy_temp_path {place}/p; fastcgi_temp_path {place}/f; uwsgi_temp_path {place}/u; scgi_temp_path {place}/s;\n"
            f"server {{ listen 127.0.0.1:{bridge}; location / {{ return 200 '{{}}'; }} }} }}\n"
        )
        settings = place / "relay.toml"
        settings.touch(mode=0o600)
        settings.write_text(
            f'listen = "127.0.0.1:{relay}"\nbridge_url = "http://127.0.0.1:{bridge}"\nhomeserver_url = "http://127.0.0.1:1"\n'
            f'appservice_id = "id"\nas_token = "as"\nhs_token = "hs"\njournal = "{place}/journal"\n'
        )
        (place / "journal").mkdir()
        log = open(place / "log", "w")
        started = [
            subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
            for words in (["nginx", "-c", conf], [rcfed, "relay", "--config", settings])
        ]
        try:
            for port in (bridge, relay):
                reachable(port)
            body = json.dumps({"events": [event(number) for number in range(EVENTS)]}).encode()
            took = {bridge: [], relay: []}
            for number in range(TRANSACTIONS):
                for port in took:
                    took[port].append(transaction(port, number, body))
            large = json.dumps({"events": [event(number, "x" * 49_000) for number in range(1000)]}).encode()
            transaction(relay, TRANSACTIONS, large)
            memory = peak(started[1].pid)
        finally:
            for child in started:
                child.terminate()
            for child in started:
                child.wait()
    return statistics.median(took[bridge]), statistics.median(took[relay]), memory


def transaction(port, number, body):
    """Sends one, on a connection of its own as both sides do, and returns how long it took."""
    began = time.perf_counter()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    headers = {"Authorization": "Bearer hs", "Content-Type": "application/json"}
    connection.request("PUT", f"/_matrix/app/v1/transactions/{number}", body, headers)
    answer = connection.getresponse()
    answer.read()
    connection.close()
    if answer.status != 200:
        raise SystemExit(f"the transaction was answered with {answer.status}")
    return time.perf_counter() - began


def event(number, text="a message of the usual length, as people write them"):
    return {"type": "m.room.message", "event_id": f"${os.urandom(12).hex()}{number}", "room_id": "!r:bench.example",
            "sender": "@ann:bench.example", "origin_server_ts": 1, "content": {"msgtype": "m.text", "body": text}}


def peak(pid):
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def reachable(port):
    until = time.monotonic() + 10
    while socket.socket().connect_ex(("127.0.0.1", port)) != 0:
        if time.monotonic() > until:
            raise SystemExit(f"nothing listens on port {port}")
        time.sleep(0.02)


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]
