#!/usr/bin/env python3
"""The replaced system's search, of bench-search: a study by Optuna for each of --kinds, with scikit-learn's pipelines, on two tables of Tenor's split.

A study is timed from its first trial's beginning to its last trial's end, reading the rows within it. Each trial makes its features anew;
stems alone are there before. A kind is searched with one thread of BLAS and OpenMP and with as many as cores, and the faster counts: on a
machine that has anything else to do, several can be many times as slow. The last line printed is one JSON object.
"""
import argparse
import functools
import json
import os
import statistics
import sys
import warnings

import numpy as np
import optuna
import pyarrow as pa
import pyarrow.parquet as pq
import scipy.sparse as sp
import snowballstemmer
from sklearn.decomposition import TruncatedSVD
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score
from sklearn.multiclass import OneVsRestClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

warnings.filterwarnings("ignore")  # of fits that end at their last iteration
optuna.logging.set_verbosity(optuna.logging.ERROR)
stem = functools.cache(snowballstemmer.stemmer("english").stemWord)


def read(path):
    """Cleaned texts, numeric features (NaN where not known), labels."""
    table = pq.read_table(path)
    numeric = [field.name for field in table.schema if pa.types.is_floating(field.type)]
    values = np.column_stack([table[name].to_numpy() for name in numeric]).astype(float)
    return table["cleaned"].to_pylist(), values, table["label"].to_numpy()


@functools.cache
def stems(path):
    return [" ".join(map(stem, text.split())) for text in read(path)[0]]


def features(trial, parts, paths, dense):
    """Rows of both parts: terms, or their components, beside the numbers."""
    stemming = trial.suggest_categorical("stemming", [False, True])
    terms = TfidfVectorizer(lowercase=False, ngram_range=(1, 2), min_df=2, sublinear_tf=True,
                            max_features=trial.suggest_int("max_features", 2_000, 6_000, step=500))
    steps = [terms]
    if dense:
        steps.append(TruncatedSVD(trial.suggest_int("svd_components", 20, 100, step=20), random_state=42))
    texts, numbers = make_pipeline(*steps), make_pipeline(SimpleImputer(strategy="median"), StandardScaler())
    join = np.hstack if dense else functools.partial(sp.hstack, format="csr")
    of = [stems(path) if stemming else part[0] for path, part in zip(paths, parts)]
    text_weight, number_weight = trial.suggest_float("text_weight", 0.1, 1.0), trial.suggest_float("numeric_weight", 1.0, 10.0)
    return (join([text_weight * texts.fit_transform(of[0]), number_weight * numbers.fit_transform(parts[0][1])]),
            join([text_weight * texts.transform(of[1]), number_weight * numbers.transform(parts[1][1])]))


def logreg(trial):
    c, solver = trial.suggest_float("C", 1e-4, 1e2, log=True), trial.suggest_categorical("solver", ["lbfgs", "liblinear"])
    if solver == "lbfgs":
        return LogisticRegression(C=c, max_iter=2500)
    penalty = trial.suggest_categorical("penalty", ["l2", "l1"])
    # liblinear has two classes at a time; scikit-learn once wrapped it by itself.
    return OneVsRestClassifier(LogisticRegression(C=c, solver=solver, l1_ratio=float(penalty == "l1"), max_iter=2500, random_state=42))


def random_forest(trial):
    return RandomForestClassifier(trial.suggest_int("n_estimators", 100, 300, step=50), max_depth=trial.suggest_int("max_depth", 6, 18, step=2),
                                  min_samples_split=trial.suggest_int("min_samples_split", 2, 10),
                                  bootstrap=trial.suggest_categorical("bootstrap", [True, False]), n_jobs=-1, random_state=42)


def hist_gb(trial):
    return HistGradientBoostingClassifier(learning_rate=trial.suggest_float("learning_rate", 0.01, 0.3, log=True),
                                          max_iter=trial.suggest_int("max_iter", 60, 160, step=20),
                                          l2_regularization=trial.suggest_float("l2_regularization", 0.0, 1.0),
                                          min_samples_leaf=trial.suggest_int("min_samples_leaf", 10, 60, step=10), random_state=42)


def mlp(trial):
    return MLPClassifier((trial.suggest_int("hidden", 64, 256, step=64),), max_iter=trial.suggest_int("max_iter", 3, 8),
                         learning_rate_init=trial.suggest_float("learning_rate_init", 1e-4, 5e-3, log=True), random_state=42)


KINDS = {"logreg": logreg, "random_forest": random_forest, "hist_gb": hist_gb, "mlp": mlp}


def search(kind, paths, trials, threads, seed, limit=None):
    parts = []

    def objective(trial):
        if not parts:
            parts.extend(map(read, paths))
        model = KINDS[kind](trial)
        train, validation = features(trial, parts, paths, dense=kind != "logreg")
        model.fit(train, parts[0][2])
        return f1_score(parts[1][2], model.predict(validation), average="macro")

    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=seed),
                                pruner=optuna.pruners.MedianPruner(n_startup_trials=15))
    with threadpool_limits(threads):  # of BLAS and OpenMP; forests keep all cores
        study.optimize(objective, n_trials=trials, timeout=limit)
    ran = study.get_trials(deepcopy=False)
    wall = max(trial.datetime_complete for trial in ran) - min(trial.datetime_start for trial in ran)
    print(f"peer, {threads} thread(s): {kind} in {wall.total_seconds():.1f} s", file=sys.stderr, flush=True)
    return {"threads": threads, "wall": wall.total_seconds(), "trial": statistics.median(trial.duration.total_seconds() for trial in ran),
            "complete": len(ran), "macro_f1": study.best_value, "params": study.best_params}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("train")
    parser.add_argument("validation")
    parser.add_argument("--kinds", default=",".join(KINDS))
    parser.add_argument("--trials", type=int, default=30)
    parser.add_argument("--seed", type=int, default=42, help="of the sampler; models keep theirs")
    parser.add_argument("--threads", type=json.loads, default={}, help='numbers that are known to be the best: {"mlp": 1}')
    o = parser.parse_args()
    paths = (o.train, o.validation)
    for path in paths:
        stems(path)
    found = {}
    for kind in o.kinds.split(","):
        candidates = [o.threads[kind]] if kind in o.threads else sorted({os.cpu_count(), 1})
        studies = [search(kind, paths, o.trials, candidates[0], o.seed)]
        # One that takes longer than that begins no more trials.
        studies += [search(kind, paths, o.trials, threads, o.seed, studies[0]["wall"]) for threads in candidates[1:]]
        found[kind] = min(studies, key=lambda study: (-study["complete"], study["wall"])) | {"walls": {study["threads"]: study["wall"] for study in studies}}
    print(json.dumps(found))


if __name__ == "__main__":
    main()
