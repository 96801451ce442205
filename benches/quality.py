#!/usr/bin/env python3
"""make bench-quality: macro-F1 and ROC-AUC on held-out reviews, beside scikit-learn's TF-IDF and logistic regression on the same rows and
split sizes, means over seeds. Reads the real reviews in the folder TENOR_REAL_DATA (default: ../shared/data beside this repository)."""
import json
import os
import statistics
import sys
import tempfile
from pathlib import Path

from common import PEERS, ROOT, finish, peer_python, row, run_json, say
from tenor import Server, arguments, binaries

DATA = Path(os.environ.get("TENOR_REAL_DATA", ROOT.parent / "shared" / "data"))
# The file, Tenor's task, the peer's.
CASES = [("kindle_reviews.dev.csv", "binary", "binary"), ("kindle_reviews.dev.csv", "star", "five"),
         ("kindle_mixed.dev.csv.gz", "binary", "binary"), ("kindle_mixed.dev.csv.gz", "star", "five")]
METRICS = ("macro_f1", "roc_auc")


def ours(server, dataset, task, seed, params):
    # scikit-learn's side trains on 80 % and tests on 20 %; validation rows are not used by this kind of model.
    split = server.read("dataset", "split", dataset, "--task", task, "--seed", seed, "--fractions", "0.795,0.005,0.2")
    wanted = [argument for param in params.split() for argument in ("--param", param)]
    run = server.read("run", "train", "--split", split["id"], "--experiment", "quality", "--seed", seed, *wanted)
    return {metric: run["metrics"][f"test/{metric}"] for metric in METRICS}


def main():
    options = arguments(__doc__, rounds=5, params="")
    folder = binaries(options)
    python, why = peer_python("ml")
    rows, notes = [], []
    with tempfile.TemporaryDirectory() as home, Server(folder, Path(home) / "data") as server:
        for name, task, peer_task in CASES:
            path = DATA / name
            if not path.exists():
                notes.append(f"{name} is not on this machine")
                continue
            dataset = name.split(".")[0].replace("_", "-")
            server.must("dataset", "import", path, "--dataset", dataset)
            mine, theirs = [], []
            for seed in range(options.rounds):
                say(f"{name} {task} seed {seed}")
                mine.append(ours(server, dataset, task, seed, options.params))
                if python:
                    found = run_json([python, PEERS / "train_sklearn.py", "--data", path, "--rows", 0, "--seed", seed, "--task", peer_task,
                                      "--models", "tfidf_logreg", "--latency-calls", 1])
                    theirs.append(found["models"]["tfidf_logreg"])
            for metric in METRICS:
                mean = statistics.mean(run[metric] for run in mine)
                peer = statistics.mean(run[metric] for run in theirs) if theirs else None
                more = {} if theirs else {"reason": why}
                rows.append(row(f"{metric} {name} {task}", round(mean, 4), peer and round(peer, 4), "", 0.99, True, **more))
    notes.append(f"means over {options.rounds} seeds; each side splits by its own seed, 80 % train and 20 % test, stratified")
    finish("quality", rows, "make bench-quality", notes)


if __name__ == "__main__":
    if not DATA.exists():
        sys.exit(f"error: no folder {DATA}; set TENOR_REAL_DATA")
    main()
