#!/usr/bin/env python3
"""make bench-tracking: runs, metrics and searches on PostgreSQL beside an MLflow tracking server, one client thread each."""
import tempfile

import tenor
from common import PEERS, finish, free_port, median, peer_python, row, run_json, say

# name, Tenor's operation, the peer's operation and which of its runs, key, unit, target, higher is better
ROWS = [
    ("single metrics, one call each", "log_metric_1", "log_metric_1", 300, "ops_per_s", "metrics/s", 100, True),
    ("single metrics, one stream", "log_metric_stream", "log_metric_1", 300, "ops_per_s", "metrics/s", 100, True),
    ("metrics in batches of 1,000", "log_batch_1000", "log_batch_1000", 300, "metrics_per_s", "metrics/s", 100, True),
    ("create_run", "create_run", "create_run", 300, "ops_per_s", "runs/s", 30, True),
    ("filtered search over 300 runs, p50", "search_filter_300", "search_filter_max1000", 300, "p50_ms", "ms", 30, False),
    ("filtered search over 1,000 runs, p50", "search_filter_1000", "search_filter_max1000", 1000, "p50_ms", "ms", 30, False),
    ("top 50 of 300 runs by a metric, p50", "search_top50_300", "search_top50_by_metric", 300, "p50_ms", "ms", 30, False),
    ("top 50 of 1,000 runs by a metric, p50", "search_top50_1000", "search_top50_by_metric", 1000, "p50_ms", "ms", 30, False),
]


def main():
    options = tenor.arguments(__doc__, ops=2000)
    admin = tenor.postgres()
    folder = tenor.binaries(options)
    python, why = peer_python("mlflow")
    database = lambda name: tenor.bench(folder, "database", "--url", admin, "--name", name)
    ours, peer, versions, settings = [], {300: [], 1000: []}, None, None
    for number in range(options.rounds):
        say(f"round {number + 1} of {options.rounds}")
        made = database("bench_tenor")
        settings = made["settings"]
        with tempfile.TemporaryDirectory() as home, tenor.Server(folder, home, made["url"]) as server:
            ours.append(tenor.bench(folder, "tracking", "--server", f"http://{server.address}", "--database", made["url"], "--ops", options.ops)["ops"])
        for runs, calls in [(300, 200), (1000, 50)] if python else []:
            url = database("bench_mlflow")["url"].replace("postgres://", "postgresql://", 1)
            found = run_json([python, PEERS / "tracking_mlflow.py", "--port", free_port(), "--backend-uri", url, "--rows", runs, "--ops", calls])
            peer[runs].append(found["ops"])
            versions = found["versions"]
    rows = []
    for name, operation, theirs, runs, key, unit, target, higher in ROWS:
        mine = median([ops[operation][key] for ops in ours])
        other = median([ops[theirs][key] for ops in peer[runs]]) if python else None
        rows.append(row(name, mine, other, unit, target, higher, **({} if python else {"reason": why})))
    notes = [
        f"Both sides on one PostgreSQL {settings['server_version']}, a fresh database each: fsync {settings['fsync']}, synchronous_commit "
        f"{settings['synchronous_commit']}, full_page_writes {settings['full_page_writes']}.",
        "One client thread through the SDK (Tenor) and MlflowClient (MLflow); but for the stream, a call begins when the last one is answered, "
        "and an answer means that the transaction is committed. In the stream each metric is a batch of its own, acknowledged at the end.",
        f"One row inserted and committed by one statement over one connection: {median([ops['commit']['ops_per_s'] for ops in ours]):,.0f}/s; "
        "no call that is answered after its commit can do more.",
        "Searches: `metrics.accuracy > 0.8 AND params.model = 'rf'` over runs with five metrics and four parameters.",
    ]
    if versions:
        notes.append(f"Peer versions: {versions}, one worker, without its background jobs.")
    finish("tracking", rows, "make bench-tracking", notes)


if __name__ == "__main__":
    main()
