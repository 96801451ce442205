#!/usr/bin/env python3
"""make bench-pruning: what pruning saves and what it costs, on real reviews.

One study without pruning and one a rule, over the same points (`quasi_random` looks at no result), each point judged by five folds. Saved is the
share of fold evaluations that were not made; lost is the share of the hypervolume of (macro-F1, model size) that the front of the
complete trials lacks. Size counts by its logarithm; the reference point is the worst of both in the study without pruning.
"""
import math
import tempfile

from classifiers import DATA
from common import alone, finish, say
from tenor import Server, arguments, binaries

FILE = "kindle_mixed.dev.csv.gz"
# Name of the study, its flags, and whether it is held to the targets.
RULES = [
    ("none", [], False),
    ("median", ["--pruner", "median"], True),
    ("halving", ["--pruner", "halving"], False),
    ("halving strict", ["--pruner", "halving", "--pruner-option", "protect_front=false"], False),
]
KINDS = ["logreg", "nbsvm", "complement_nb"]


def hypervolume(points, reference):
    """Of two objectives that are both to be small."""
    volume, limit = 0.0, reference[1]
    for x, y in sorted(points):
        if x < reference[0] and y < limit:
            volume += (reference[0] - x) * (limit - y)
            limit = y
    return volume


def main():
    options = arguments(__doc__, trials=60, folds=5, seed=7)
    folder = binaries(options)
    if not (DATA / FILE).exists():
        raise SystemExit(f"error: {FILE} is not on this machine; set TENOR_REAL_DATA to the folder that holds it")
    found = {}
    with tempfile.TemporaryDirectory() as home, Server(folder, home) as server:
        server.must("dataset", "import", DATA / FILE, "--dataset", "reviews")
        server.must("dataset", "split", "reviews", "--task", "star")
        kinds = [flag for kind in KINDS for flag in ("--kind", kind)]
        for name, flags, _ in RULES:
            say(name)
            study = name.replace(" ", "-")
            server.must("study", "run", study, "--dataset", "reviews", *kinds, "--objective", "macro_f1", "--objective", "model_bytes:min", "--trials",
                        options.trials, "--folds", options.folds, "--sampler", "quasi_random", "--seed", options.seed, "--parallel", 2, *flags)
            found[name] = server.read("study", "trials", study, "--limit", 0)
    values = {name: [(-t["metrics"]["macro_f1"], math.log(t["metrics"]["model_bytes"])) for t in trials if t["state"] == "complete"]
              for name, trials in found.items()}
    reference = tuple(max(point[at] for point in values["none"]) for at in (0, 1))
    evaluated = {name: sum(len(t["reports"]) for t in trials) for name, trials in found.items()}
    whole, all_folds = hypervolume(values["none"], reference), evaluated["none"]
    rows, lines = [], ["| rule | fold evaluations | complete trials | hypervolume | best macro-F1 |", "|---|---|---|---|---|"]
    for name, _, held in RULES:
        volume = hypervolume(values[name], reference)
        lines.append(f"| {name} | {evaluated[name]} | {len(values[name])} of {len(found[name])} | {volume:.4f} | {-min(values[name])[0]:.4f} |")
        if name != "none":
            rows.append(alone(f"{name}: fold evaluations saved", 1 - evaluated[name] / all_folds, "share", 0.3 if held else None, True))
            rows.append(alone(f"{name}: hypervolume lost", 1 - volume / whole, "share", 0.02 if held else None))
    notes = [f"{FILE}, five stars, {options.folds} folds, {options.trials} trials of {', '.join(KINDS)} in their usual spaces, seed {options.seed}; "
             "two trials at once, so the others that a trial is compared with vary a little from run to run."]
    finish("pruning", rows, "make bench-pruning", notes, [["## The studies", "", *lines]])


if __name__ == "__main__":
    main()
