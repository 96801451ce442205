#!/usr/bin/env python3
"""make bench-pruning: what pruning saves and what it costs, on real reviews.

For each seed one study without pruning and one a rule, over the same points (`quasi_random` looks at no result), each point judged by five folds. Saved is the
share of fold evaluations that were not made; lost is the share of the hypervolume of (macro-F1, model size) that the front of the
complete trials lacks. Size counts by its logarithm; the reference point is the worst of both in the study without pruning.
"""
import math
import statistics
import tempfile

from classifiers import DATA
from common import alone, finish, say
from tenor import Server, arguments, binaries

FILE = "kindle_mixed.dev.csv.gz"
# Name of the study, its flags, and whether it is held to the targets.
RULES = [
    ("none", [], False),
    ("median", ["--pruner", "median"], True),
    ("median in every metric", ["--pruner", "median", "--pruner-option", "every_metric=true"], False),
    ("halving", ["--pruner", "halving"], True),
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


def studies(server, options, seed):
    """The trials of each rule."""
    kinds = [flag for kind in KINDS for flag in ("--kind", kind)]
    found = {}
    for name, flags, _ in RULES:
        say(f"seed {seed}: {name}")
        study = f"{name.replace(' ', '-')}-{seed}"
        server.must("study", "run", study, "--dataset", "reviews", *kinds, "--objective", "macro_f1", "--objective", "model_bytes:min", "--trials",
                    options.trials, "--folds", options.folds, "--sampler", "quasi_random", "--seed", seed, "--parallel", 2, *flags)
        found[name] = server.read("study", "trials", study, "--limit", 0)
    return found


def judged(found):
    """By rule: fold evaluations made, complete trials, hypervolume, best macro-F1."""
    values = {name: [(-t["metrics"]["macro_f1"], math.log(t["metrics"]["model_bytes"])) for t in trials if t["state"] == "complete"]
              for name, trials in found.items()}
    reference = tuple(max(point[at] for point in values["none"]) for at in (0, 1))
    return {name: (sum(len(trial["reports"]) for trial in trials), len(values[name]), hypervolume(values[name], reference), -min(values[name])[0])
            for name, trials in found.items()}


def main():
    options = arguments(__doc__, trials=60, folds=5, seeds=5, first_seed=12)
    folder = binaries(options)
    if not (DATA / FILE).exists():
        raise SystemExit(f"error: {FILE} is not on this machine; set TENOR_REAL_DATA to the folder that holds it")
    with tempfile.TemporaryDirectory() as home, Server(folder, home) as server:
        server.must("dataset", "import", DATA / FILE, "--dataset", "reviews")
        server.must("dataset", "split", "reviews", "--task", "star")
        seeds = range(options.first_seed, options.first_seed + options.seeds)
        by_seed = {seed: judged(studies(server, options, seed)) for seed in seeds}
    rows, lines = [], ["| seed | rule | fold evaluations | complete trials | hypervolume | best macro-F1 |", "|---|---|---|---|---|---|"]
    for seed, rules in by_seed.items():
        lines += [f"| {seed} | {name} | {evaluated} | {complete} | {volume:.4f} | {best:.4f} |" for name, (evaluated, complete, volume, best) in rules.items()]
    for name, _, held in RULES[1:]:
        lost = lambda at: statistics.median(1 - rules[name][at] / rules["none"][at] for rules in by_seed.values())
        rows.append(alone(f"{name}: fold evaluations saved", lost(0), "share", 0.3 if held else None, True))
        rows.append(alone(f"{name}: hypervolume lost", lost(2), "share", 0.02 if held else None))
    notes = [f"{FILE}, five stars, {options.folds} folds, {options.trials} trials of {', '.join(KINDS)} in their usual spaces; medians over {options.seeds} seeds; "
             "two trials at once, so the others that a trial is compared with vary a little from run to run."]
    finish("pruning", rows, "make bench-pruning", notes, [["## The studies", "", *lines]])


if __name__ == "__main__":
    main()
