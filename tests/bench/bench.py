#!/usr/bin/env python3
"""The figures rcfed is held to, each beside a peer's, measured in one run on the bed.

Nothing here passes or fails: a slow machine makes everything slow. What counts is the ratio, since both sides of each
comparison take turns on the same machine, with the same images, the same registries and the same authority.
"""

import argparse
import functools
import json
import os
import statistics
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import compose  # noqa: E402
import peers  # noqa: E402
import relay  # noqa: E402
from bed import Bed, Droplet, measure  # noqa: E402
from names import COUNT, Names  # noqa: E402


class Table:
    """Rows of figures: medians with the extremes beside them."""

    def __init__(self):
        self.rows = []

    def add(self, what, who, runs, baseline=None, goal=""):
        wall = [run.wall for run in runs]
        row = {
            "what": what,
            "who": who,
            "runs": len(runs),
            "wall_s": round(statistics.median(wall), 4),
            "wall_min_s": round(min(wall), 4),
            "wall_max_s": round(max(wall), 4),
            "cpu_s": round(statistics.median(run.cpu for run in runs), 4),
            "rss_mib": round(max(run.rss for run in runs) / 1024, 1),
            "goal": goal,
        }
        if baseline:
            row["wall_ratio"] = round(row["wall_s"] / baseline["wall_s"], 3)
            row["cpu_ratio"] = round(row["cpu_s"] / max(baseline["cpu_s"], 0.001), 3)
        self.rows.append(row)
        ratio = f"  {row['wall_ratio']:.2f}x, CPU {row['cpu_ratio']:.2f}x" if baseline else ""
        print(
            f"  {who:<28} {row['wall_s']:8.3f} s  ({row['wall_min_s']:.3f} to {row['wall_max_s']:.3f})"
            f"  CPU {row['cpu_s']:.3f} s  {row['rss_mib']:.0f} MiB{ratio}{'  goal ' + goal if goal else ''}",
            flush=True,
        )
        return row


def heading(text):
    print(f"\n{text}", flush=True)


def binary(table, rcfed):
    heading("The binary")
    print(f"  size {rcfed.stat().st_size / 1e6:.1f} MB  goal <= 15 MB")
    runs = [measure([rcfed, "--version"], dict(os.environ)) for _ in range(51)]
    table.add("--version", "rcfed", runs, goal="<= 0.005 s")


def through_the_relay(table, rcfed):
    heading("A transaction of 20 events through the relay, beside the same without it")
    direct, relayed, memory = relay.figures(rcfed)
    print(
        f"  {direct * 1000:.2f} ms without, {relayed * 1000:.2f} ms with it: {(relayed - direct) * 1000:.2f} ms added  goal < 1 ms\n"
        f"  {memory:.1f} MiB at most, a transaction of 49 MB among them  goal <= 20 MiB",
        flush=True,
    )
    table.rows.append({"what": "relay", "who": "rcfed relay", "direct_s": direct, "relayed_s": relayed, "rss_mib": memory})


def nothing_to_do(table, ours, theirs, rcfed, project, rounds):
    heading("apply with nothing to do")
    mine, peer = [], []
    for _ in range(rounds):
        mine.append(ours.measure([rcfed, "apply"]))
        peer.append(theirs.measure([*project, "up", "--detach"]))
    base = table.add("nothing to do", "docker compose up -d", peer)
    table.add("nothing to do", "rcfed apply", mine, base, "<= 0.5x")


def from_nothing(table, ours, theirs, rcfed, project, rounds):
    heading("From no image, no container and no network, data kept")
    mine, peer, chains = [], [], []
    for _ in range(rounds):
        ours.forget(keep_volumes=True)
        run = ours.measure([rcfed, "apply", "--verbose"])
        mine.append(run)
        chains.append(longest_chain(ours, rcfed, run))
        theirs.forget(keep_volumes=True)
        pull = theirs.measure([*project, "pull", "--quiet", "--ignore-buildable"])
        up = theirs.measure([*project, "up", "--detach", "--wait"])
        peer.append(pull.then(up))
    base = table.add("from no image", "compose pull && up --wait", peer)
    row = table.add("from no image", "rcfed apply", mine, base, "<= 1.0x")
    chain = statistics.median(chains)
    print(f"  its longest chain of steps   {chain:8.3f} s; the whole is {row['wall_s'] / chain:.2f}x of it  goal <= 1.15x")
    table.rows.append({"what": "longest chain", "who": "rcfed apply", "wall_s": round(chain, 4)})


def everything(table, ours, rcfed, answers, rounds):
    heading("From an empty machine: databases, secrets, rehearsal, certificate, administrator, verification")
    runs = []
    for _ in range(rounds):
        ours.forget(keep_volumes=False)
        runs.append(ours.measure([rcfed, "init", "--answers", answers, "--yes", "--no-input"]))
    table.add("from an empty machine", "rcfed init", runs)


def certificate(table, ours, theirs, rcfed, tools, rounds):
    heading("A certificate for three names from the same authority")
    names = ["other.test", "chat.other.test", "matrix.other.test"]
    mine, others = [], {name: [] for name in tools}
    for _ in range(rounds):
        mine.append(ours.measure([rcfed, "renew", "--force", "--quiet"]))
        for name, command in tools.items():
            others[name].append(theirs.measure(command(names)))
    rows = [table.add("certificate", name, runs) for name, runs in others.items()]
    best = min(rows, key=lambda row: row["wall_s"])
    table.add("certificate", "rcfed renew --force", mine, best, "<= 0.25x, CPU <= 0.1x, <= 15 MiB")


def doctor_inside(table, ours, rcfed, rounds):
    heading("rcfed doctor on a deployment that is well, all checks")
    table.add("doctor inside", "rcfed doctor", [ours.measure([rcfed, "doctor"]) for _ in range(rounds)], goal="<= 0.3 s")


def doctor_outside(table, state, rcfed, rounds):
    heading(f"rcfed doctor SERVER_NAME, all checks, and {COUNT} names in one run")
    with Names(state) as names:
        well = [names.doctor(rcfed, "n1.many.example") for _ in range(2 * rounds)]
        table.add("doctor of one name", "rcfed doctor, well", well, goal="<= 0.3 s")
        broken = [names.doctor(rcfed, "badport.many.example", expected=1) for _ in range(2 * rounds)]
        table.add("doctor of one name", "rcfed doctor, refused", broken, goal="<= 0.3 s")
        many = [names.doctor(rcfed, "--from", names.dir / "names") for _ in range(max(rounds // 2, 2))]
        row = table.add("doctor of many names", f"rcfed doctor --from ({COUNT})", many, goal="<= 100 MiB")
        speed = COUNT / row["wall_s"]
        row["names_per_s"] = round(speed)
        print(f"  {speed:.0f} names/s  goal >= 100")
        told = many[0].stderr.strip().splitlines()[-1]
        if told != f"{COUNT} names: {COUNT} well, 0 not.":
            raise SystemExit(f"the names are not well: {told}")


def longest_chain(droplet, rcfed, run):
    """Seconds along the slowest path of steps, from the times that the run itself told."""
    plan = json.loads(droplet.output([rcfed, "plan", "--json"]))
    took = {}
    for line in run.stderr.splitlines():
        if line.startswith("· ") and line.endswith(" ms"):
            step, milliseconds = line[2:].rsplit(": ", 1)
            took[step] = int(milliseconds.removesuffix(" ms")) / 1000
    known = {step["id"] for step in plan["steps"]}
    needs = {step["id"]: known.intersection(step["needs"]) for step in plan["steps"]}

    @functools.cache
    def ended(step):
        return took[step] + max((ended(need) for need in needs[step]), default=0.0)

    return max(ended(step) for step in needs)


def beside_peers(table, bed, ours, rcfed, rounds):
    tools, theirs = peers.fetch(bed), Droplet(bed, 2)
    # The peer manages the same containers on the other machine, on databases that are set up already.
    theirs.run([rcfed, "init", "--answers", theirs.answers("other.test"), "--yes", "--no-input"])
    project = [tools.compose, "-f", compose.write(theirs)]
    theirs.forget(keep_volumes=True, keep_images=True)
    theirs.run([*project, "up", "--detach", "--wait"])
    nothing_to_do(table, ours, theirs, rcfed, project, rounds)
    from_nothing(table, ours, theirs, rcfed, project, max(rounds // 2, 2))
    theirs.forget(keep_volumes=True, keep_images=True)
    certificate(table, ours, theirs, rcfed, tools.certificates(theirs), rounds)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("rcfed", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", choices=["doctor"], help="measure that alone")
    parser.add_argument("--json", type=Path, help="also write the figures there")
    options = parser.parse_args()
    rcfed = options.rcfed.resolve()
    bed = Bed()
    bed.verb("up", *(["--two"] if options.only is None else []))
    bed.verb("clean")
    bed.verb("dns", "reset")
    ours = Droplet(bed, 1)
    model = next((line.split(":", 1)[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), "?")
    print(f"{model}, {os.cpu_count()} cores, {time.strftime('%Y-%m-%d')}; medians of {options.rounds} rounds in turns")
    table = Table()
    if options.only is None:
        binary(table, rcfed)
        through_the_relay(table, rcfed)
        everything(table, ours, rcfed, ours.answers("fed.test"), max(options.rounds // 2, 2))
    else:
        ours.run([rcfed, "init", "--answers", ours.answers("fed.test"), "--yes", "--no-input"])
    doctor_inside(table, ours, rcfed, 2 * options.rounds)
    doctor_outside(table, ours.state, rcfed, options.rounds)
    if options.only is None:
        beside_peers(table, bed, ours, rcfed, options.rounds)
    if options.json:
        options.json.write_text(json.dumps(table.rows, indent=2) + "\n")
    bed.verb("clean")


if __name__ == "__main__":
    main()
