#!/usr/bin/env python3
"""make bench-models: the classic models beside scikit-learn on the very same rows, split and cleaned once for both.

Numeric features stay out on both sides. Dense kinds learn from 100 standardised SVD components. The two sides take turns, a round each,
and the one that begins changes; each number is the median of the rounds, wall seconds on all cores. scikit-learn gets its faster number
of BLAS threads, found in its first round. A fit counts only at 0.99 of scikit-learn's macro-F1 or more. A row is timed from the raw
text in Tenor, from the cleaned one in scikit-learn.
"""
import csv
import gzip
import json
import os
import random
import statistics
import subprocess
from pathlib import Path

from common import OWN_PEERS, PEERS, ROOT, WORK, alone, finish, peer_python, row, run_json, say
from tenor import arguments

DATA = Path(os.environ.get("TENOR_REAL_DATA", ROOT.parent / "shared" / "data"))
FOREST = {"n_estimators": 200, "max_depth": 16, "min_samples_leaf": 5, "oob_score": False}
# Name, kind, parameters, target of the fit's ratio, target of a row in microseconds.
KINDS = [
    ("lr_sparse", "logreg", {"C": 1.0}, 5.0, 15.0),
    ("lr_sparse_c5", "logreg", {"C": 5.0}, 5.0, 15.0),
    ("nbsvm", "nbsvm", {}, None, 15.0),
    ("complement_nb", "complement_nb", {}, None, 15.0),
    ("lr_dense", "logreg", {"C": 1.0, "svd_components": 100}, 1.0, 15.0),
    ("random_forest", "random_forest", FOREST, 5.0, 60.0),
    ("hist_gb", "hist_gb", {"early_stopping": False}, 1.3, 30.0),
    ("mlp", "mlp", {"hidden_layer_sizes": [128], "max_iter": 50}, 1.0, None),
]
SCORES = ("accuracy", "macro_f1", "roc_auc", "log_loss")


def stars(path):
    with (gzip.open if path.suffix == ".gz" else open)(path, "rt", encoding="utf-8", newline="") as file:
        csv.field_size_limit(1 << 24)
        records = csv.DictReader(file) if ".csv" in path.name else (json.loads(line) for line in file)
        for record in records:
            if record.get("label", "OR") != "OR":
                continue
            text, star = record.get("reviewText") or record.get("text_"), record.get("overall") or record.get("rating")
            if text and text.strip() and star:
                yield text, int(float(star))


def sst2(path):
    with gzip.open(path, "rt", encoding="utf-8") as file:
        for line in file:
            text, _, label = line.rstrip("\n").rpartition("\t")
            if label in ("0", "1"):  # the first line names the columns
                yield text, label


def labelled(pairs, task):
    for text, star in pairs:
        if task == "five":
            yield text, f"{star} stars"
        elif task == "binary" and star != 3:
            yield text, "good" if star > 3 else "bad"
        elif task == "as it is":
            yield text, str(star)


def write_rows(binary, name, pairs, limit):
    """Cleaned rows with a fifth for the test, the same share of every label in both."""
    path = WORK / "classifiers" / f"{name}.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    chance = random.Random(7)
    rows = list(pairs)
    chance.shuffle(rows)
    seen, lines = {}, []
    for text, label in rows[:limit]:
        seen[label] = seen.get(label, 0) + 1
        lines.append(json.dumps({"text": text, "label": label, "part": "test" if seen[label] % 5 == 0 else "train"}))
    raw = path.with_suffix(".raw.jsonl")
    raw.write_text("\n".join(lines) + "\n")
    with open(path, "w") as cleaned:
        subprocess.run([binary, raw, "clean"], stdout=cleaned, check=True)
    return path


def sets(binary, python, quick):
    """(name, file of rows, terms) of every data set that is there; and what is not."""
    missing = []
    rows = 3_000 if quick else 50_000
    generated = WORK / "classifiers" / f"generated_{rows}.jsonl.src"
    if not generated.exists():
        generated.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run([python, PEERS / "gen_reviews.py", "--rows", str(rows), "--seed", "5", "--out", generated], check=True,
                       stdout=subprocess.DEVNULL)
    pairs = [(record["reviewText"], int(record["overall"])) for line in open(generated) if (record := json.loads(line)).get("reviewText")
             and record.get("overall")]
    limit = 2_000 if quick else 50_000
    wanted = [(f"generated {task}", list(labelled(pairs, task)), 20_000) for task in ("binary", "five")]
    for name, file, tasks in [("kindle_mixed", "kindle_mixed.dev.csv.gz", ("binary", "five")), ("amazon10", "amazon10_reviews.dev.csv.gz", ("binary",)),
                              ("sst2", "sst2.dev.tsv.gz", ("as it is",))]:
        path = DATA / file
        if not path.exists():
            missing.append(f"{file} is not on this machine")
            continue
        read = list(sst2(path) if name == "sst2" else stars(path))
        wanted += [(name if task == "as it is" else f"{name} {task}", list(labelled(read, task)), 20_000) for task in tasks]
    made = [(name, write_rows(binary, name.replace(" ", "_"), pairs, limit), terms) for name, pairs, terms in wanted]
    made.append(("generated binary, 50k terms", made[0][1], 50_000))
    return made, missing


def ours(binary, rows, terms, kinds):
    cases = [{"name": name, "kind": kind, "params": params | {"max_features": terms} | ({} if kind == "complement_nb" else {"use_numeric": False})}
             for name, kind, params, *_ in kinds]
    done = subprocess.run([binary, rows, json.dumps(cases), str(terms)], stdout=subprocess.PIPE, text=True, check=True)
    features, *models = [json.loads(line) for line in done.stdout.splitlines()]
    return features | {"models": {model["name"]: model for model in models}}


def peer(python, rows, terms, kinds, earlier):
    threads = {}
    if earlier:
        threads = {"svd": earlier[0]["svd_fit_transform"]["blas_threads"]} | {name: model["fit"]["blas_threads"] for name, model in earlier[0]["models"].items()}
    return run_json([python, OWN_PEERS / "classifiers.py", rows, "--terms", terms, "--models", ",".join(kind[0] for kind in kinds),
                     "--blas-threads", json.dumps(threads)])


def middle(runs, *keys):
    def dig(run):
        for key in keys:
            run = run[key]
        return run
    return statistics.median(map(dig, runs))


def main():
    options = arguments(__doc__, rounds=3, quick=0, sets="", kinds="")
    python, why = peer_python("ml")
    if python is None:
        raise SystemExit(f"error: {why}")
    folder = options.bin or Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release"
    if not options.bin:
        subprocess.run(["cargo", "build", "--release", "--workspace", "--example", "measure"], cwd=ROOT, check=True)
    table, notes, sections = [], [], []
    binary = folder / "examples" / "measure"
    made, missing = sets(binary, python, options.quick)
    notes += missing
    chosen = [kind for kind in KINDS if kind[0] in (options.kinds.split(",") if options.kinds else [kind[0]])]
    for name, rows, terms in made:
        if options.sets and name not in options.sets.split(","):
            continue
        kinds = chosen if terms == 20_000 else []
        mine, theirs = [], []
        sides = [lambda: mine.append(ours(binary, rows, terms, kinds)), lambda: theirs.append(peer(python, rows, terms, kinds, theirs))]
        for number in range(options.rounds):
            say(f"{name}: round {number + 1} of {options.rounds}")
            for side in (sides if number % 2 == 0 else sides[::-1]):
                side()
        for stage, target in [("tfidf_fit_transform", 10.0), ("tfidf_transform", 10.0), ("svd_fit_transform", 1.0)]:
            quality = {"quality_ours": mine[0]["explained_variance_ratio"], "quality_peer": theirs[0]["explained_variance_ratio"]} if "svd" in stage else {}
            table.append(row(f"{name}: {stage}", middle(mine, stage, "wall"), middle(theirs, stage, "wall"), "s", target,
                             cpu_ours=middle(mine, stage, "cpu"), cpu_peer=middle(theirs, stage, "cpu"), **quality))
        if kinds:
            sections.append([f"## {name}: {mine[0]['train']:,} rows to learn from, {mine[0]['test']:,} to judge by", "",
                             "Each cell: Tenor / scikit-learn. CPU seconds of the fit; one row in microseconds, from text to probabilities; MiB of the file.", "",
                             "| kind | fit CPU s | accuracy | macro-F1 | ROC-AUC | log-loss | row p50 us | file MiB |", "|---|---|---|---|---|---|---|---|"])
        for kind, _, _, target, row_target in kinds:
            of = lambda runs, *keys: middle(runs, "models", kind, *keys)
            quality = {f"{score}_{side}": round(of(runs, score), 4) for score in SCORES for side, runs in (("ours", mine), ("peer", theirs))}
            counts = quality["macro_f1_ours"] >= 0.99 * quality["macro_f1_peer"]
            if not counts:
                notes.append(f"{name}, {kind}: the fit does not count, its macro-F1 is below 0.99 of scikit-learn's")
            table.append(row(f"{name}: {kind} fit", of(mine, "fit", "wall"), of(theirs, "fit", "wall"), "s", target, counts=counts, **quality))
            table.append(alone(f"{name}: {kind} one row p50", of(mine, "row_us", "p50"), "us", row_target,
                               reason=f"scikit-learn: {of(theirs, 'row_us', 'p50'):,.0f} us"))
            pair = lambda *keys, digits=4, scale=1: " / ".join(f"{of(runs, *keys) / scale:.{digits}f}" for runs in (mine, theirs))
            sections[-1].append(f"| {kind} | {pair('fit', 'cpu', digits=2)} | " + " | ".join(pair(score) for score in SCORES)
                                + f" | {pair('row_us', 'p50', digits=1)} | {pair('file_bytes', digits=2, scale=2**20)} |")
        if kinds:
            best = [max(run[0]["models"].items(), key=lambda model: model[1]["macro_f1"]) for run in (mine, theirs)]
            table.append(row(f"{name}: best macro-F1 ({best[0][0]} / {best[1][0]})", round(best[0][1]["macro_f1"], 4),
                             round(best[1][1]["macro_f1"], 4), "", 1.0, True))
    notes.append(f"medians of {options.rounds} rounds; both sides on all cores")
    finish("models", table, "make bench-models", notes, sections, whole=not (options.quick or options.sets or options.kinds))


if __name__ == "__main__":
    main()
