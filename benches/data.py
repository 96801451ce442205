#!/usr/bin/env python3
"""make bench-data: read, validate, clean, compute features and write Parquet, beside Polars from Python and DuckDB."""
import argparse
import subprocess
import sys

from common import PEERS, ROOT, WORK, finish, median, peer_python, row, run_json, say


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rows", type=int, default=1_000_000)
    arguments.add_argument("--rounds", type=int, default=3)
    options = arguments.parse_args()
    subprocess.run(["cargo", "build", "--release", "--workspace", "--examples"], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    python, why = peer_python("data")
    WORK.mkdir(parents=True, exist_ok=True)
    source = WORK / f"reviews_{options.rows}.jsonl"
    if not source.exists():
        if python is None:
            sys.exit(f"error: the peers' generator is needed for the input: {why}")
        say(f"generating {options.rows:,} rows ...")
        subprocess.run([python, PEERS / "gen_reviews.py", "--rows", str(options.rows), "--seed", "0", "--defects", "0.01", "--out", source],
                       check=True, stdout=subprocess.DEVNULL)
    ours, peers = [], {"polars": [], "duckdb": []}
    for number in range(options.rounds):
        say(f"round {number + 1} of {options.rounds}")
        ours.append(run_json([ROOT / "target/release/examples/validate_process", source]))
        for engine, runs in peers.items():
            if python is not None:
                runs.append(run_json([python, PEERS / "validate_process.py", "--engine", engine, "--data", source, "--work", WORK]))
    rows, differences = [], []
    for engine, runs in peers.items():
        target = 1.0 if engine == "polars" else 2.0
        for key, unit, goal in [("wall_s", "s", target), ("cpu_s", "CPU s", None), ("peak_rss_mib", "MiB", 1.0)]:
            mine = median([r[key] for r in ours])
            theirs = median([r[key] for r in runs]) if runs else None
            more = {} if runs else {"reason": why}
            rows.append(row(f"{key} against {engine}", mine, theirs, unit, goal, **more))
        for key in ("violations", "checksum"):
            if runs and runs[0][key] != ours[0][key]:
                differences.append(f"{key} differ from {engine}: ours {ours[0][key]}, theirs {runs[0][key]}")
    notes = differences or ["violations and checksums are equal for every engine that ran"]
    finish("data", rows, "make bench-data", notes)
    if differences:
        sys.exit("error: " + "; ".join(differences))


if __name__ == "__main__":
    main()
