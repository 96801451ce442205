#!/usr/bin/env python3
"""make bench-serving: predictions over gRPC beside FastAPI + scikit-learn and beside empty echoes, the same texts to all."""
import contextlib
import tempfile

import models
import tenor
from common import PEERS, alone, finish, free_port, median, peer_python, row, run_json, say

SINGLE, BATCHES = (1, 16, 64), (32, 256)
ECHOES = {"an empty tonic echo": ["--tonic"], "the same echo behind Tenor's accept loop": []}
PLAN = [(1, c) for c in SINGLE] + [(b, 4) for b in BATCHES]


def peer_load(python, model, bodies, seconds):
    """One start of the FastAPI service under every load of the plan."""
    found = run_json([python, PEERS / "load_http.py", "--port", free_port(), "--server", "serve_fastapi.py", "--python", python, "--model", model, "--rounds", 1,
                      "--seconds", seconds, "--seed", 7, "--concurrency", ",".join(map(str, SINGLE)), "--batches", ",".join(map(str, BATCHES)),
                      "--batch-concurrency", 4, "--dump-bodies", bodies])
    loads = {(r["batch"], r["concurrency"]): {**r, "cpu_us": r["server_cpu_us_per_row"] * r["batch"]} for r in found["load"]}
    return loads, found["versions"]


def load(folder, process, bodies, batch, concurrency, seconds):
    found = tenor.bench(folder, "load", "--address", process.address, "--deployment", "reviews", "--bodies", bodies, "--batch", batch,
                        "--concurrency", concurrency, "--seconds", seconds, "--server-pid", process.pid)
    return {**found, "cpu_us": found["server_cpu_us_per_request"]}


def table(ours, echoes, peer, why):
    rows = []
    middle = lambda runs, point, key: median([r[point][key] for r in runs]) if runs else None
    for point in PLAN:
        batch, concurrency = point
        what = f"{batch} text{'s' if batch > 1 else ''} a call, {concurrency} at a time"
        errors = {"errors_ours": sum(r[point]["errors"] for r in ours), "errors_peer": sum(r[point]["errors"] for r in peer) if peer else None}
        more = errors if peer else {**errors, "reason": why}
        rate = ("rows_s", "rows/s") if batch > 1 else ("rps", "requests/s")
        for key, name, unit, target, higher in [(rate[0], rate[1], rate[1], 20, True), ("p50_ms", "p50", "ms", None, False),
                                                ("p99_ms", "p99", "ms", 10 if batch == 1 else None, False),
                                                ("cpu_us", "server CPU a request", "us", 40 if batch == 1 else None, False)]:
            rows.append(row(f"{name}, {what}", middle(ours, point, key), middle(peer, point, key), unit, target, higher, **more))
        for name, echo in echoes.items():
            rows.append(row(f"{rate[1]} beside {name}, {what}", middle(ours, point, rate[0]), middle(echo, point, rate[0]), rate[1],
                            0.6 if batch == 1 else None, True, errors_ours=errors["errors_ours"], errors_peer=sum(r[point]["errors"] for r in echo)))
    return rows


def main():
    options = tenor.arguments(__doc__, seconds=6.0)
    folder = tenor.binaries(options)
    python, why = peer_python("ml")
    if python and not models.have_wrk():
        python, why = None, "wrk, the peers' load generator, is not installed (Debian package wrk)"
    data = models.reviews(folder, python)
    model, report = models.peer_model(python, data) if python else (None, None)
    ours, echoes, peer, versions = [], {name: [] for name in ECHOES}, [], None
    with tempfile.TemporaryDirectory() as home, contextlib.ExitStack() as stack:
        server = stack.enter_context(tenor.Server(folder, f"{home}/data"))
        floors = {name: stack.enter_context(tenor.Echo(folder, *flags)) for name, flags in ECHOES.items()}
        models.deploy(server, data)
        server.must("model", "download", "reviews", "--to", f"{home}/model")
        bodies = f"{home}/bodies" if python else data
        for number in range(options.rounds):
            say(f"round {number + 1} of {options.rounds}")
            if python:
                loads, versions = peer_load(python, model, bodies, max(1, round(options.seconds)))
                peer.append(loads)
            ours.append({})
            for runs in echoes.values():
                runs.append({})
            for point in PLAN:
                ours[-1][point] = load(folder, server, bodies, *point, options.seconds)
                for name, floor in floors.items():
                    echoes[name][-1][point] = load(folder, floor, bodies, *point, options.seconds)
        scores = server.read("model", "describe-version", "reviews", "latest")["metrics"]
        loaded_mib, _ = tenor.memory_mib(server.pid)
        in_process = [tenor.bench(folder, "predict", "--model", f"{home}/model", "--bodies", bodies)["us"]["p50"] for _ in range(options.rounds)]
    rows = table(ours, echoes, peer, why)
    reason, quality = "held against its own target", {"quality_ours": scores["test/roc_auc"]}
    if report:
        found = report["models"]["tfidf_logreg"]
        reason += f"; scikit-learn's pipeline alone: {found['single_row_ms']['p50'] * 1e3:,.0f} us"
        quality["quality_peer"] = found["roc_auc"]
    rows.append(alone("in process, one text to probabilities, p50", median(in_process), "us", 15, reason=reason, **quality))
    client = median([r[(1, 16)]["client_cpu_us_per_request"] for r in ours])
    notes = [
        f"{options.seconds:g} s a measurement, one connection for each call at a time, closed loop, load generator on the same cores: wrk for "
        f"HTTP, tenor-bench (HTTP/2, {client:.0f} us of CPU a request at 16) for gRPC; both walk through the same texts.",
        "The echoes answer the same messages without predicting.",
        f"Server memory after the load: {loaded_mib} MiB. Errors: {sum(r['errors'] for run in ours for r in run.values())} of Tenor's, "
        f"{sum(r['errors'] for run in peer for r in run.values())} of the peer's.",
    ]
    if report:
        notes.append(f"ROC AUC on held-out reviews: Tenor's model {scores['test/roc_auc']:.4f}, the peer's {found['roc_auc']:.4f}.")
        notes.append(f"Peer versions: {versions}; one uvicorn worker.")
    finish("serving", rows, "make bench-serving", notes)


if __name__ == "__main__":
    main()
