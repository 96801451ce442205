#!/usr/bin/env python3
"""make record-trials: every point of a grid over four kinds of classifiers, trained on real reviews and judged by the validation rows.

Writes benches/tables/kindle_trials.csv, which the problems `recorded` and `recorded_mo` of bench-studies are made of: a search is then judged by
how real classifiers answer, without training any. Run by hand, in about ten minutes, when the classifiers have changed much; numbers of
bench-studies from before and after do not compare. The table holds parameters and measurements, six digits each, and nothing of the reviews.
"""
import csv
import json
import math
import tempfile
from pathlib import Path

from classifiers import DATA
from common import ROOT, say
from tenor import Server, arguments, binaries

FILE = "kindle_mixed.dev.csv.gz"
TABLE = ROOT / "benches" / "tables" / "kindle_trials.csv"
TERMS = {"max_features": [2000, 4000, 6000], "stemming": ["null", "english"]}
GRIDS = {
    "logreg": {"C": [0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0], "penalty": ["l2", "l1"], **TERMS},
    "nbsvm": {"C": [0.03, 0.12, 0.5, 2.0, 7.5, 30.0], "beta": [0.0, 0.25, 0.5, 0.75, 1.0], **TERMS},
    "complement_nb": {"alpha": [0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0], "norm": [False, True], **TERMS},
    "hist_gb": {"learning_rate": [0.01, 0.025, 0.055, 0.13, 0.3], "max_iter": [60, 100, 160], "svd_components": [20, 60, 100],
                "min_samples_leaf": [10, 60]},
}
FIXED = {"hist_gb": {"max_features": 6000}}
MEASURES = ["macro_f1", "accuracy", "log_loss", "latency_us", "model_bytes"]


def record(server, home, kind, grid, parallel):
    space = Path(home) / f"{kind}.json"
    space.write_text(json.dumps([{"name": name, "type": "categorical", "choices": choices} for name, choices in grid.items()]))
    count = math.prod(map(len, grid.values()))
    say(f"{kind}: {count} points")
    study = kind.replace("_", "-")
    fixed = [flag for name, value in FIXED.get(kind, {}).items() for flag in ("--param", f"{name}={value}")]
    server.must("study", "run", study, "--space", space, "--kind", kind, "--dataset", "reviews", "--sampler", "grid", "--trials", count,
                "--objective", "macro_f1", "--objective", "latency_us:min", "--objective", "model_bytes:min", "--skip-defaults",
                "--parallel", parallel, *fixed)
    trials = server.read("study", "trials", study, "--limit", 0)
    complete = sorted((trial for trial in trials if trial["state"] == "complete"), key=lambda trial: trial["number"])
    if len(complete) != count:
        raise SystemExit(f"error: {len(complete)} of {count} trials of {kind} are complete")
    return complete


def shown(value):
    """Booleans as JSON has them, numbers with six digits and no exponent."""
    return json.dumps(value) if isinstance(value, bool) else value if isinstance(value, str) else f"{float(f'{value:.6g}'):.12g}"


def main():
    options = arguments(__doc__, parallel=2)
    folder = binaries(options)
    if not (DATA / FILE).exists():
        raise SystemExit(f"error: {FILE} is not on this machine; set TENOR_REAL_DATA to the folder that holds it")
    params = list(dict.fromkeys(name for grid in GRIDS.values() for name in grid))
    lines = []
    with tempfile.TemporaryDirectory() as home, Server(folder, home) as server:
        server.must("dataset", "import", DATA / FILE, "--dataset", "reviews")
        server.must("dataset", "split", "reviews", "--task", "star")
        for kind, grid in GRIDS.items():
            for trial in record(server, home, kind, grid, options.parallel):
                values = [trial["params"].get(name) for name in params]
                values += [trial["metrics"][name] for name in MEASURES]
                lines.append([kind, *("" if value is None else shown(value) for value in values)])
    TABLE.parent.mkdir(exist_ok=True)
    with open(TABLE, "w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([["kind", *params, *MEASURES], *lines])


if __name__ == "__main__":
    main()
