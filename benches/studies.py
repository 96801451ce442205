#!/usr/bin/env python3
"""make bench-studies: the search beside Optuna's on the same problems and seeds.

Regret is the best value less the known optimum, hypervolume that up to the problem's reference point. Each number is the median over the
seeds, which no setting was chosen by; the table below has the quartiles. A problem takes ten minutes, most of them the peer's: what is
done is kept in the folder of scratch files, and a run that was broken off goes on with the next problem.
"""
import json
import math
import os
import statistics
import tempfile

from common import OWN_PEERS, PEERS, WORK, alone, finish, peer_python, row, run_json, say
from recorded import OPTIMUM
from tenor import Server, arguments, bench, binaries

PROBLEMS = {"branin": 1.0, "hartmann6": 1.1, "clf": 1.1, "zdt1": 0.99, "zdt2": 0.99, "dtlz2": 0.99, "clf_mo": 0.99,
            "recorded": 1.1, "recorded_mo": 0.99}
MARKS = [60, 100, 200]
GP_TRIALS = 100  # of the Gaussian process, whose suggestions take a hundred times as long
OPTIMA = {"branin": 0.39788735772973816, "hartmann6": -3.322368011415, "clf": 0.090, "recorded": OPTIMUM}


def quartiles(values):
    q = statistics.quantiles(values, n=4)
    return f"{q[1]:.4g} [{q[0]:.4g}, {q[2]:.4g}]"


def kept(problem, key, work):
    """What `work` gives, or gave before for the same key."""
    file = WORK / "studies" / f"{problem}.json"
    if file.exists() and (found := json.loads(file.read_text()))["key"] == json.loads(json.dumps(key)):
        return found["found"]
    file.parent.mkdir(parents=True, exist_ok=True)
    found = work()
    file.write_text(json.dumps({"key": key, "found": found}))
    return json.loads(file.read_text())["found"]


def agree(folder, python, problem):
    """Ends the bench unless a problem has the same values on both sides."""
    points = run_json([folder / "tenor-bench", "studies", "--problem", problem, "--points", 20])["points"]
    theirs = run_json([python, OWN_PEERS / "studies.py", "--problem", problem, "--points", json.dumps([point["params"] for point in points])],
                      env=os.environ | {"TENOR_PEERS": str(PEERS)})
    for point, values in zip(points, theirs):
        if not all(math.isclose(a, b, rel_tol=1e-9, abs_tol=1e-9) for a, b in zip(point["values"], values, strict=True)):
            raise SystemExit(f"error: the two sides of {problem} do not agree at {point}: {values}")


def asked(folder):
    """Times of `Suggest` at a server with SQLite, its commit included."""
    rows = []
    for objectives in (1, 2):
        say(f"suggestions of a server, {objectives} objective(s)")
        with tempfile.TemporaryDirectory() as home, Server(folder, home) as server:
            found = bench(folder, "asking", "--server", f"http://{server.address}", "--objectives", objectives)
        first = found["100"]["p95_ms"]
        for length, took in found.items():
            limit = 3 * first if length != "100" else None
            rows.append(alone(f"Suggest by tpe at {int(length):,} trials, {objectives} objective(s), p95", took["p95_ms"], "ms", limit,
                              reason="target: 3 times that at 100 trials"))
    return rows


def main():
    options = arguments(__doc__, seeds=40, first_seed=1000, trials=200, problems="")
    python, why = peer_python("optuna")
    if python is None:
        raise SystemExit(f"error: {why}")
    folder = binaries(options)
    common = ["--seeds", str(options.seeds), "--first-seed", str(options.first_seed)]
    marks = [mark for mark in MARKS if mark <= options.trials]
    gp_marks = [mark for mark in marks if mark <= GP_TRIALS]
    table, lines = [], ["| problem, trials | Tenor, tpe | Tenor, gp | Optuna's default | Optuna, multivariate and group | random |", "|---|---|---|---|---|---|"]
    for problem, target in PROBLEMS.items():
        if options.problems and problem not in options.problems.split(","):
            continue
        say(problem)
        agree(folder, python, problem)
        of = ["--problem", problem, *common, "--trials", str(options.trials), "--marks", ",".join(map(str, marks))]
        of_gp = ["--problem", problem, *common, "--trials", str(min(options.trials, GP_TRIALS)), "--marks", ",".join(map(str, gp_marks))]
        ours, gp, chance, peers = kept(problem, [of, (folder / "tenor-bench").stat().st_mtime], lambda: (
            run_json([folder / "tenor-bench", "studies", *of]),
            run_json([folder / "tenor-bench", "studies", *of_gp, "--sampler", "gp"]),
            run_json([folder / "tenor-bench", "studies", *of, "--sampler", "random", "--overhead", "100"]),
            {name: run_json([python, OWN_PEERS / "studies.py", *of, "--sampler", name, *(["--overhead", ""] if name != "default" else [])],
                            env=os.environ | {"TENOR_PEERS": str(PEERS)}) for name in ("default", "multivariate_group")},
        ))
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
            if mark in gp_marks:
                by_gp = score(gp, mark)
                # TPE in the place of the peer.
                table.append(row(f"{problem}: {what} at {mark}, gp beside tpe", statistics.median(by_gp), mine, "", None, not single))
            shown = [quartiles(values[0]), quartiles(by_gp) if mark in gp_marks else "-", *map(quartiles, values[1:])]
            lines.append(f"| {problem}, {mark} | " + " | ".join(shown) + " |")
        for length, least in (("100", 10.0), ("1000", 5.0)):
            table.append(row(f"{problem}: a suggestion at {length} trials", ours["suggest_ms"][length], peers["default"]["suggest_ms"][length], "ms", least))
            table.append(alone(f"{problem}: a suggestion of gp at {length} trials", gp["suggest_ms"][length], "ms"))
    if not options.problems:
        table += asked(folder)
    sections = [["## Medians with quartiles", "", f"Over {options.seeds} seeds from {options.first_seed} on; regret for one objective, else hypervolume.", "", *lines]]
    finish("studies", table, "make bench-studies", ["Tenor: `tpe` at its defaults; Optuna 5. Rows `gp beside tpe` have `gp` in the column of Tenor and `tpe` in that of the peer."], sections, whole=not options.problems and options.seeds >= 40)


if __name__ == "__main__":
    main()
