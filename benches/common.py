"""Shared by the bench commands: peers' environments, alternating runs, the table and the one line of JSON.

The other side of every bench stands in benches/peers and in the folder TENOR_PEERS (default: ../shared/peers beside this repository).
Environments are made under benches/.venvs when missing, from the pinned requirements there.
"""
import datetime
import json
import os
import platform
import socket
import statistics
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PEERS = Path(os.environ.get("TENOR_PEERS", ROOT.parent / "shared" / "peers"))
OWN_PEERS = ROOT / "benches" / "peers"
WORK = ROOT / "benches" / ".work"


def say(*words):
    print(*words, file=sys.stderr, flush=True)


def peer_python(name):
    """The Python of the peer environment `name`, made when missing; or (None, reason)."""
    requirements = next((f for d in (OWN_PEERS, PEERS) if (f := d / f"requirements-{name}.txt").exists()), None)
    if requirements is None:
        return None, f"no requirements-{name}.txt in the peers' folders"
    venv = ROOT / "benches" / ".venvs" / name
    python = venv / "bin" / "python"
    if not (venv / "ready").exists():
        say(f"making the peer environment `{name}` ...")
        try:
            subprocess.run([sys.executable, "-m", "venv", str(venv)], check=True)
            subprocess.run([str(python), "-m", "pip", "install", "-q", "-r", str(requirements)], check=True)
        except subprocess.CalledProcessError as error:
            return None, f"pip failed: {error}"
        (venv / "ready").touch()
    return str(python), None


def free_port():
    """A port that nobody listens on: at a fixed one a forgotten server might answer in the peer's place."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def run_json(command, **options):
    """Runs `command` and parses the last line of its standard output."""
    done = subprocess.run([str(c) for c in command], stdout=subprocess.PIPE, text=True, check=True, **options)
    return json.loads(done.stdout.strip().splitlines()[-1])


def median(values):
    return statistics.median(values)


def row(name, ours, peer, unit, target=None, higher_is_better=False, **more):
    """One row beside a peer; `target` is a ratio, and ratio > 1 means that Tenor is better, whatever the unit. Without the peer
    there is no ratio, so there is nothing to hold against the target either: it moves to `target_ratio`."""
    ratio = None
    if peer is not None and ours:
        ratio = round(ours / peer if higher_is_better else peer / ours, 3)
    elif target is not None:
        target, more = None, {**more, "target_ratio": target}
    return {"name": name, "ours": ours, "peer": peer, "unit": unit, "ratio": ratio, "target": target,
            "higher_is_better": higher_is_better, **more}


def alone(name, ours, unit, target=None, higher_is_better=False, reason="held against its own target", **more):
    """One row without a peer; `target` is in the unit of `ours`."""
    return {"name": name, "ours": ours, "peer": None, "unit": unit, "ratio": None, "target": target,
            "higher_is_better": higher_is_better, "reason": reason, **more}


def met(row):
    """Whether a row reaches its target: the ratio where there is a peer, else the number itself."""
    if row["target"] is None:
        return None
    if not row.get("counts", True):
        return False
    if row["peer"] is not None:
        # By the numbers themselves: the ratio that is shown is rounded.
        ours, target = row["ours"], row["target"]
        return row["ratio"] is not None and (ours >= target * row["peer"] if row["higher_is_better"] else row["peer"] >= target * ours)
    return row["ours"] >= row["target"] if row["higher_is_better"] else row["ours"] <= row["target"]


def finish(bench, rows, command, notes=(), sections=(), whole=True):
    """Writes docs/benchmarks/<bench>.md, with `sections` of lines below the table, shows it, and prints a line of JSON. The page of a bench
    that was not run as a whole goes to the folder of scratch files."""
    out = (ROOT / "docs" / "benchmarks" if whole else WORK) / f"{bench}.md"
    out.parent.mkdir(parents=True, exist_ok=True)
    lines = [f"# {bench}", "", f"Made by `{command}` on {datetime.date.today()}: {os.cpu_count()} cores, {platform.machine()}, medians.",
             "ratio > 1 means that Tenor is better.", "", "| what | Tenor | peer | unit | ratio | target | met |", "|---|---|---|---|---|---|---|"]
    for r in rows:
        show = lambda v: "-" if v is None else f"{v:,.4g}" if isinstance(v, (int, float)) else str(v)
        peer = show(r["peer"]) if r["peer"] is not None else r.get("reason", "-")
        reached = {None: "-", True: "yes", False: "no"}[met(r)]
        lines.append(f"| {r['name']} | {show(r['ours'])} | {peer} | {r['unit']} | {show(r['ratio'])} | {show(r['target'])} | {reached} |")
    for section in sections:
        lines += ["", *section]
    lines += [""] + [f"- {note}" for note in notes]
    page = "\n".join(lines).rstrip() + "\n"
    out.write_text(page)
    say(page)
    print(json.dumps({"bench": bench, "rows": rows}), flush=True)
