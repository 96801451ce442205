#!/usr/bin/env python3
"""make bench-studies: the search beside Optuna's on the same problems and seeds.

Regret is the best value less the known optimum, hypervolume that up to the problem's reference point. Each number is the median over the
seeds, which no setting was chosen by; the table below has the quartiles.
"""
import os
import statistics
import sys
from pathlib import Path

from common import OWN_PEERS, PEERS, alone, finish, peer_python, row, run_json, say
from tenor import arguments, binaries

PROBLEMS = {"branin": 1.0, "hartmann6": 1.1, "clf": 1.1, "zdt1": 0.99, "zdt2": 0.99, "dtlz2": 0.99, "clf_mo": 0.99}
MARKS = [60, 100, 200]
OPTIMA = {"branin": 0.39788735772973816, "hartmann6": -3.322368011415, "clf": 0.090}


def quartiles(values):
    q = statistics.quantiles(values, n=4)
    return f"{q[1]:.4g} [{q[0]:.4g}, {q[2]:.4g}]"


def main():
    options = arguments(__doc__, seeds=40, first_seed=1000, trials=200, problems="")
    python, why = peer_python("optuna")
    if python is None:
        raise SystemExit(f"error: {why}")
    folder = binaries(options)
    common = ["--seeds", options.seeds, "--first-seed", options.first_seed, "--trials", options.trials]
    marks = [mark for mark in MARKS if mark <= options.trials]
    table, lines = [], ["| problem, trials | Tenor | Optuna's default | Optuna, multivariate and group | random |", "|---|---|---|---|---|"]
    for problem, target in PROBLEMS.items():
        if options.problems and problem not in options.problems.split(","):
            continue
        say(problem)
        of = ["--problem", problem, *common, "--marks", ",".join(map(str, marks))]
        ours = run_json([folder / "tenor-bench", "studies", *of])
        chance = run_json([folder / "tenor-bench", "studies", *of, "--sampler", "random", "--overhead", "100"])
        peers = {name: run_json([python, OWN_PEERS / "studies.py", *of, "--sampler", name, *(["--overhead", ""] if name != "default" else [])],
                                env=os.environ | {"TENOR_PEERS": str(PEERS)}) for name in ("default", "multivariate_group")}
        optimum, single = OPTIMA.get(problem), problem in OPTIMA
        score = lambda side, mark: [value - optimum if single else value for value in side["scores"][str(mark)]]
        for mark in marks:
            values = [score(side, mark) for side in (ours, peers["default"], peers["multivariate_group"], chance)]
            mine, theirs, grouped, random = map(statistics.median, values)
            what = "regret" if single else "hypervolume"
            # A target on regret is the largest ratio ours / theirs; here ratio > 1 means that Tenor is better.
            limit = (1 / target if single else target) if mark == 100 else None
            table.append(row(f"{problem}: {what} at {mark}, beside the default", mine, theirs, "", limit, not single))
            table.append(row(f"{problem}: {what} at {mark}, beside multivariate and group", mine, grouped, "", None, not single))
            table.append(row(f"{problem}: {what} at {mark}, beside random", mine, random, "", 1.0, not single))
            lines.append(f"| {problem}, {mark} | " + " | ".join(map(quartiles, values)) + " |")
        for length, least in (("100", 10.0), ("1000", 5.0)):
            table.append(row(f"{problem}: a suggestion at {length} trials", ours["suggest_ms"][length], peers["default"]["suggest_ms"][length], "ms", least))
    sections = [["## Medians with quartiles", "", f"Over {options.seeds} seeds from {options.first_seed} on; regret for one objective, else hypervolume.", "", *lines]]
    finish("studies", table, "make bench-studies", ["Tenor: `tpe` at its defaults; Optuna 5"], sections, whole=not options.problems and options.seeds >= 40)


if __name__ == "__main__":
    main()
