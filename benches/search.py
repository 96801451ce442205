#!/usr/bin/env python3
"""make bench-search: the search over all classic kinds beside that of the replaced system (Optuna and scikit-learn) on the very same split.

Each kind has a study of 30 trials, TPE with seed 42 in the first round, 43 in the second and so on, judged by macro-F1 on the validation
rows: the best of 30 differs by .01 from seed to seed, so the scores of one round say little. A study is timed from its first trial's
beginning to its last trial's end, with reading the rows on both sides; the search is the sum of its studies. Its ratio counts only when
Tenor's best macro-F1 over all kinds is at least the peer's less 0.001. Every search of Tenor has a fresh server, so no features from before.
Tenor gets the faster of --parallel trials at once, the peer the faster number of threads of each kind, found in its first round. Each set of
rows has a page of its own, since one takes most of an hour.
"""
import contextlib
import csv
import gzip
import json
import os
import shutil
import statistics
import subprocess
import tempfile
from datetime import datetime
from pathlib import Path

from common import OWN_PEERS, PEERS, ROOT, WORK, finish, peer_python, row, run_json, say
from tenor import Server, arguments, binaries

DATA = Path(os.environ.get("TENOR_REAL_DATA", ROOT.parent / "shared" / "data"))
KINDS = ["logreg", "random_forest", "hist_gb", "mlp"]
TRIALS, ROWS, SEED = 30, 20_000, 42
TARGET, TOLERANCE = 10.0, 0.001


def real(name, rows):
    """The file of real reviews, or a copy of its first rows; None when it is not there."""
    path = DATA / name
    if not path.exists():
        return None
    with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
        csv.field_size_limit(1 << 24)
        records = list(csv.reader(file))
    if len(records) - 1 <= rows:
        return path
    cut = WORK / "search" / f"{name.split('.')[0]}_{rows}.csv"
    with open(cut, "w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(records[:rows + 1])
    return cut


def generated(python, rows):
    path = WORK / "search" / f"generated_{rows}.jsonl"
    if not path.exists():
        half = path.with_name("half.jsonl")
        subprocess.run([python, PEERS / "gen_reviews.py", "--rows", str(rows), "--seed", "5", "--out", half], check=True, stdout=subprocess.DEVNULL)
        half.rename(path)
    return path


@contextlib.contextmanager
def split_of(folder, path):
    """A fresh server with the split; and the files of its rows to learn from and to judge by."""
    with tempfile.TemporaryDirectory() as home, Server(folder, Path(home) / "data") as server:
        server.must("dataset", "import", path, "--dataset", "reviews")
        outcome = server.read("dataset", "split", "reviews", "--task", "star", "--fractions", "0.7,0.15,0.15")["outcome"]
        digests = [outcome[part]["digest"] for part in ("train", "validation")]
        yield server, outcome, [Path(home) / "data" / "blobs" / "sha256" / digest[:2] / digest[2:] for digest in digests]


def prepare(folder, name, path):
    """Copies of the rows for the peer, and how many there are."""
    with split_of(folder, path) as (_, outcome, blobs):
        parts = {part: WORK / "search" / f"{name}.{part}.parquet" for part in ("train", "validation")}
        for blob, copy in zip(blobs, parts.values()):
            shutil.copyfile(blob, copy)
        return list(parts.values()), {part: outcome[part] for part in parts}


def study(server, kind, trials, parallel, seed):
    server.must("study", "run", kind, "--kind", kind, "--dataset", "reviews", "--trials", trials, "--seed", seed, "--parallel", parallel,
                "--objective", "macro_f1")
    ran = server.read("study", "trials", kind, "--limit", 0)
    if bad := [trial for trial in ran if trial["state"] != "complete"]:
        raise SystemExit(f"error: {len(bad)} of {len(ran)} trials of {kind} are not complete, the first is {bad[0]['state']}: {bad[0]['error']}")
    when = lambda trial, key: datetime.fromisoformat(trial[key].replace("Z", "+00:00")).timestamp()
    began, ended = [when(trial, "start_time") for trial in ran], [when(trial, "finish_time") for trial in ran]
    best = max(ran, key=lambda trial: trial["metrics"]["macro_f1"])
    return {"wall": max(ended) - min(began), "trial": statistics.median(end - begin for begin, end in zip(began, ended)), "complete": len(ran),
            "macro_f1": best["metrics"]["macro_f1"], "params": best["params"]}


def ours(folder, path, split, kinds, trials, parallel, seed):
    with split_of(folder, path) as (server, outcome, _):
        if any(outcome[part]["digest"] != split[part]["digest"] for part in split):
            raise SystemExit("error: the same file gave another split than before, so the peer has other rows")
        found = {}
        for kind in kinds:
            found[kind] = study(server, kind, trials, parallel, seed)
            say(f"Tenor, {parallel} at once: {kind} in {found[kind]['wall']:.1f} s")
        return found


def peer(python, parts, kinds, trials, seed, earlier):
    threads = {kind: found["threads"] for kind, found in earlier[0].items()} if earlier else {}
    return run_json([python, OWN_PEERS / "search.py", *parts, "--kinds", ",".join(kinds), "--trials", trials, "--seed", seed, "--threads", json.dumps(threads)])


def wall(run):
    return sum(kind["wall"] for kind in run.values())


def best(run):
    """Kind and macro-F1."""
    return max(((kind, found["macro_f1"]) for kind, found in run.items()), key=lambda pair: pair[1])


def shown(params):
    return ", ".join(f"{name} {value:.3g}" if isinstance(value, float) else f"{name} {value}" for name, value in sorted(params.items()))


def table_of(name, kinds, mine, theirs, notes):
    middle = lambda runs, of: statistics.median(map(of, runs))
    score = [middle(runs, lambda run: best(run)[1]) for runs in (mine, theirs)]
    counts = score[0] >= score[1] - TOLERANCE
    if not counts:
        notes.append(f"The ratio of the search does not count: Tenor's best macro-F1 is below the peer's less {TOLERANCE}")
    table = [row(f"{name}: the whole search", round(middle(mine, wall), 3), round(middle(theirs, wall), 3), "s", TARGET, counts=counts,
                 macro_f1_ours=round(score[0], 4), macro_f1_peer=round(score[1], 4))]
    table.append(row(f"{name}: best macro-F1 ({best(mine[0])[0]} / {best(theirs[0])[0]})", round(score[0], 4), round(score[1], 4), "",
                     1 - TOLERANCE / score[1], True))
    for kind in kinds:
        of = lambda runs, key: middle(runs, lambda run: run[kind][key])
        table.append(row(f"{name}: {kind}", round(of(mine, "wall"), 3), round(of(theirs, "wall"), 3), "s"))
        table.append(row(f"{name}: {kind}, best macro-F1", round(of(mine, "macro_f1"), 4), round(of(theirs, "macro_f1"), 4), "", None, True))
    return table


def section(name, split, parallel, kinds, mine, theirs):
    lines = [f"## {name}: {split['train']['rows']:,} rows to learn from, {split['validation']['rows']:,} to judge by", "",
             f"The first round. Tenor ran {parallel} trial{'s' if parallel > 1 else ''} at once; threads of the peer: "
             + ", ".join(f"{kind} {theirs[0][kind]['threads']}" for kind in kinds) + ".", "",
             "| kind | side | trials | search s | a trial s, median | best macro-F1 | by |", "|---|---|---|---|---|---|---|"]
    for kind in kinds:
        for side, runs in (("Tenor", mine), ("peer", theirs)):
            found = runs[0][kind]
            lines.append(f"| {kind} | {side} | {found['complete']} | {found['wall']:.2f} | {found['trial']:.3f} | {found['macro_f1']:.4f} | "
                         f"{shown(found['params'])} |")
    return lines


def main():
    options = arguments(__doc__, rounds=1, trials=TRIALS, rows=ROWS, kinds=",".join(KINDS), sets="", parallel="2,1")
    python, why = peer_python("search")
    if python is None:
        raise SystemExit(f"error: {why}")
    folder = binaries(options)
    kinds, at_once = options.kinds.split(","), [int(number) for number in options.parallel.split(",")]
    (WORK / "search").mkdir(parents=True, exist_ok=True)
    whole = kinds == KINDS and options.trials == TRIALS and options.rows == ROWS
    for name, make in (("kindle_mixed", lambda: real("kindle_mixed.dev.csv.gz", options.rows)), ("generated", lambda: generated(python, options.rows))):
        if options.sets and name not in options.sets.split(","):
            continue
        path = make()
        if path is None:
            say(f"{name}.dev.csv.gz is not on this machine")
            continue
        parts, split = prepare(folder, name, path)
        tried, theirs = {parallel: [] for parallel in at_once}, []
        sides = [lambda seed: [runs.append(ours(folder, path, split, kinds, options.trials, parallel, seed)) for parallel, runs in tried.items()],
                 lambda seed: theirs.append(peer(python, parts, kinds, options.trials, seed, theirs))]
        for number in range(options.rounds):
            say(f"{name}: round {number + 1} of {options.rounds}")
            for side in (sides if number % 2 == 0 else sides[::-1]):
                side(SEED + number)
        walls = {parallel: statistics.median(map(wall, runs)) for parallel, runs in tried.items()}
        parallel = min(walls, key=walls.get)
        notes = ["Tenor's whole search, trials at once: " + "; ".join(f"{number}: {seconds:.2f} s" for number, seconds in walls.items())
                 + "; the faster is in the tables, with its scores"]
        by_threads = [found["walls"] for found in theirs[0].values()]
        notes.append("The peer's whole search in the first round, threads: "
                     + "; ".join(f"{threads}: {sum(walls[threads] for walls in by_threads):.2f} s" for threads in by_threads[0])
                     + "; the faster of each kind is in the tables, with its scores, and the other was broken off at its time")
        table = table_of(name, kinds, tried[parallel], theirs, notes)
        lines = section(name, split, parallel, kinds, tried[parallel], theirs)
        finish(f"search-{name}", table, "make bench-search", notes + remarks(options), [lines], whole=whole)


def remarks(options):
    return [
        f"{options.trials} trials a kind; medians of {options.rounds} round{'s' if options.rounds > 1 else ''}; both sides on all cores. The peer "
        "runs one trial at once, forests with `n_jobs=-1`, else as scikit-learn does by default, but with the number of "
        "threads of BLAS and OpenMP (all cores, its default, or one) that is the faster for the kind: on a busy machine several are far slower.",
        "Timed from the first trial's beginning to the last trial's end of each study, reading the rows included on both sides; the whole search "
        "is the sum. Import and split are on neither side. Reading, cleaning and the numeric features are Tenor's for both.",
        "Tenor keeps counts of terms and features of rows and parameters that it has seen, across trials and kinds, so a later kind may find "
        "those of an earlier one. The peer makes them anew in each trial, as the replaced system did; but its stems are made once, before "
        "anything is timed.",
        "Tenor searches boosted trees with 63 bins and forests with 127 (docs/adr/0008-bins-of-searched-trees.md); the peer's boosting has its "
        "default of 255, its forests look at every value.",
        "Tenor's trials also measure bootstrap errors, latency and size, and its first trial of each kind is the kind's usual point; Optuna "
        "begins at random. The median pruner prunes nothing on either side: a holdout reports once.",
        "Dense kinds always learn from components, which Tenor standardises. The peer searches the weights of text (0.1 to 1) and numbers (1 to 10) "
        "as the replaced system did; Tenor searches that of the numbers, for logistic regression (0.02 to 10) and networks (1 to 10).",
        "liblinear and lbfgs are a choice in the peer alone: Tenor has one solver for both penalties. liblinear runs one against the rest.",
    ]


if __name__ == "__main__":
    main()
