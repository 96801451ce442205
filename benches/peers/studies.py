#!/usr/bin/env python3
"""Optuna's side of bench-studies: scores of studies on one problem, and the time of a suggestion.

The problems are in the folder TENOR_PEERS, those over recorded trials in `recorded.py`. The last line printed is one JSON object.
"""
import argparse
import json
import os
import statistics
import sys
import time
import warnings
from pathlib import Path

import optuna

sys.path.insert(0, os.environ.get("TENOR_PEERS", str(Path(__file__).resolve().parents[3] / "shared" / "peers")))
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import recorded  # noqa: E402
from problems import PROBLEMS, hypervolume  # noqa: E402

warnings.filterwarnings("ignore")
optuna.logging.set_verbosity(optuna.logging.ERROR)
PROBLEMS |= recorded.PROBLEMS
ASKS = 7


def sampler(name, seed):
    return {
        "default": lambda: optuna.samplers.TPESampler(seed=seed),
        "multivariate_group": lambda: optuna.samplers.TPESampler(seed=seed, multivariate=True, group=True),
        "random": lambda: optuna.samplers.RandomSampler(seed=seed),
    }[name]()


def scores(problem, name, seed, trials, marks):
    function, objectives, _, reference = PROBLEMS[problem]
    study = optuna.create_study(directions=["minimize"] * objectives, sampler=sampler(name, seed))
    study.optimize(function, n_trials=trials)
    values = [trial.values for trial in study.get_trials(deepcopy=False)]
    return [min(v[0] for v in values[:mark]) if objectives == 1 else hypervolume(values[:mark], reference) for mark in marks]


def milliseconds(problem, name, length):
    """The median time from ask to the last parameter, with `length` random trials of history."""
    function, objectives, _, _ = PROBLEMS[problem]
    filled = optuna.create_study(directions=["minimize"] * objectives, sampler=sampler("random", 1))
    filled.optimize(function, n_trials=length)
    took = []
    for ask in range(ASKS):
        study = optuna.create_study(directions=["minimize"] * objectives, sampler=sampler(name, ask))
        study.add_trials(filled.get_trials(deepcopy=False))
        started = time.perf_counter()
        function(study.ask())
        took.append((time.perf_counter() - started) * 1e3)
    return statistics.median(took)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--problem", required=True)
    parser.add_argument("--sampler", default="default")
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--marks", default="60,100,200")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--overhead", default="100,1000")
    parser.add_argument("--points", help="instead of any study: the values at these points, a list of JSON objects")
    o = parser.parse_args()
    if o.points:
        function, objectives, _, _ = PROBLEMS[o.problem]
        found = [function(optuna.trial.FixedTrial(point)) for point in json.loads(o.points)]
        print(json.dumps([[value] if objectives == 1 else value for value in found]))
        return
    marks = [int(mark) for mark in o.marks.split(",")]
    found = {mark: [] for mark in marks}
    for seed in range(o.first_seed, o.first_seed + o.seeds):
        for mark, score in zip(marks, scores(o.problem, o.sampler, seed, o.trials, marks)):
            found[mark].append(score)
    took = {length: milliseconds(o.problem, o.sampler, length) for length in map(int, filter(None, o.overhead.split(",")))}
    print(json.dumps({"problem": o.problem, "sampler": o.sampler, "scores": found, "suggest_ms": took}))


if __name__ == "__main__":
    main()
