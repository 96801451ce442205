#!/usr/bin/env python3
"""make bench-footprint: start to ready, memory at rest and size of the server, beside FastAPI with a model and an MLflow tracking server."""
import tempfile
import time

import models
import tenor
from common import PEERS, alone, finish, free_port, median, peer_python, row, run_json, say


def at_rest(server):
    """Start in ms and memory in MiB, a second after the start as the peers' scripts do."""
    time.sleep(1)
    rss, pss = tenor.memory_mib(server.pid)
    return {"ready_ms": server.ready_ms, "rss": rss, "pss": pss}


def peer_start(command):
    found = run_json(command)
    return {"ready_ms": found["startup_s"] * 1e3, "rss": found["idle_rss_mib"], "pss": found["idle_pss_mib"]}


def main():
    options = tenor.arguments(__doc__, rounds=5)
    folder = tenor.binaries(options)
    python, no_fastapi = peer_python("ml")
    if python and not models.have_wrk():
        python, no_fastapi = None, "the peer's script needs wrk, which is not installed (Debian package wrk)"
    mlflow, no_mlflow = peer_python("mlflow")
    data = models.reviews(folder, python)
    model = models.peer_model(python, data)[0] if python else None
    found = {name: [] for name in ("fresh", "again", "serving", "fastapi", "mlflow")}
    with tempfile.TemporaryDirectory() as home:
        with tenor.Server(folder, f"{home}/used") as server:
            models.deploy(server, data)
        for number in range(options.rounds):
            say(f"round {number + 1} of {options.rounds}")
            for name in ("fresh", "again"):
                with tenor.Server(folder, f"{home}/empty{number}") as server:
                    found[name].append(at_rest(server))
            with tenor.Server(folder, f"{home}/used") as server:
                server.must("predict", "reviews", "a great story")
                found["serving"].append(at_rest(server))
            if python:
                found["fastapi"].append(peer_start([python, PEERS / "load_http.py", "--port", free_port(), "--server", "serve_fastapi.py", "--python", python, "--model",
                                                    model, "--rounds", 1, "--seconds", 1, "--concurrency", 1, "--batches", ""]))
            if mlflow:
                found["mlflow"].append(peer_start([mlflow, PEERS / "tracking_mlflow.py", "--port", free_port(), "--rows", 5, "--ops", 5]))
    middle = lambda name, key: median([r[key] for r in found[name]]) if found[name] else None
    reason = {"fastapi": no_fastapi, "mlflow": no_mlflow}
    rows = [
        alone("start to ready, fresh folder", middle("fresh", "ready_ms"), "ms", 1000),
        alone("start to ready, migrated folder", middle("again", "ready_ms"), "ms", 1000),
        alone("memory at rest (RSS)", middle("fresh", "rss"), "MiB", 100),
        alone("memory at rest (RSS), a model served", middle("serving", "rss"), "MiB", 100),
        alone("size of tenor-server", round((folder / "tenor-server").stat().st_size / 2**20, 1), "MiB", reason="nothing to compare"),
    ]
    for ours, peer, what in [("serving", "fastapi", "FastAPI + scikit-learn, a model served"), ("fresh", "mlflow", "MLflow server on a fresh SQLite")]:
        more = {} if found[peer] else {"reason": reason[peer]}
        rows.append(row(f"start to ready beside {what}", middle(ours, "ready_ms"), middle(peer, "ready_ms"), "ms", None, **more))
        rows.append(row(f"memory at rest (RSS) beside {what}", middle(ours, "rss"), middle(peer, "rss"), "MiB", None, **more))
        rows.append(row(f"memory at rest (PSS) beside {what}", middle(ours, "pss"), middle(peer, "pss"), "MiB", None, **more))
    notes = ["Ready: `/readyz` answers 200 (Tenor), the first prediction is answered (FastAPI), `/health` answers (MLflow).",
             "The peers' memory is that of the process and its children, Tenor has one process; all one second after they were ready."]
    finish("footprint", rows, "make bench-footprint", notes)


if __name__ == "__main__":
    main()
