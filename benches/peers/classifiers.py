#!/usr/bin/env python3
"""scikit-learn's side of bench-models: features, then each classifier of --models, on rows that are split and cleaned already.

Reads JSON lines {"cleaned", "label", "part"}; the last line printed is one JSON object. NB-SVM is that of Wang and Manning 2012 in its usual
form: log-count ratios in numpy, then logistic regression.
"""
import argparse
import json
import os
import pickle
import time

import numpy as np
import scipy.sparse as sp
from sklearn.decomposition import TruncatedSVD
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, f1_score, log_loss, roc_auc_score
from sklearn.naive_bayes import ComplementNB
from sklearn.neural_network import MLPClassifier
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits


class NbSvm:
    """One against the rest; probabilities divided by their sum."""

    def __init__(self, c=4.0):
        self.c = c

    def fit(self, x, y):
        self.classes = np.unique(y)
        present = (x > 0).astype(np.float64)
        self.parts = []
        for k in (self.classes[1:] if len(self.classes) == 2 else self.classes):
            p, q = np.asarray(present[y == k].sum(0)).ravel() + 1, np.asarray(present[y != k].sum(0)).ravel() + 1
            ratio = np.log((p / p.sum()) / (q / q.sum()))
            model = LogisticRegression(C=self.c, max_iter=1000).fit(x @ sp.diags(ratio), y == k)
            self.parts.append((model.coef_.ravel() * ratio, model.intercept_[0]))
        return self

    def predict_proba(self, x):
        scores = np.column_stack([x @ w + b for w, b in self.parts])
        p = 1 / (1 + np.exp(-scores))
        return np.column_stack([1 - p, p]) if p.shape[1] == 1 else p / p.sum(1, keepdims=True)


MODELS = {
    "lr_sparse": (True, lambda jobs: LogisticRegression(C=1.0, max_iter=1000)),
    "lr_sparse_c5": (True, lambda jobs: LogisticRegression(C=5.0, max_iter=1000)),
    "nbsvm": (True, lambda jobs: NbSvm()),
    "complement_nb": (True, lambda jobs: ComplementNB()),
    "lr_dense": (False, lambda jobs: LogisticRegression(C=1.0, max_iter=1000)),
    "random_forest": (False, lambda jobs: RandomForestClassifier(200, max_depth=16, min_samples_leaf=5, n_jobs=jobs, random_state=1)),
    "hist_gb": (False, lambda jobs: HistGradientBoostingClassifier(early_stopping=False, random_state=1)),
    "mlp": (False, lambda jobs: MLPClassifier((128,), early_stopping=True, max_iter=50, random_state=1)),
}


def timed(work):
    wall, cpu = time.perf_counter(), time.process_time()
    result = work()
    return result, {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}


def best(work, candidates):
    """The fastest of the candidate numbers of threads of BLAS and OpenMP: which one that is depends on the sizes."""
    found = []
    for threads in candidates:
        with threadpool_limits(threads):
            found.append((*timed(work), threads))
    result, took, threads = min(found, key=lambda f: f[1]["wall"])
    return result, took | {"blas_threads": threads}


def scores(y, p):
    guess = p.argmax(1)
    auc = roc_auc_score(y, p[:, 1]) if p.shape[1] == 2 else roc_auc_score(y, p, multi_class="ovr", average="macro")
    return {"accuracy": accuracy_score(y, guess), "macro_f1": f1_score(y, guess, average="macro"), "roc_auc": auc, "log_loss": log_loss(y, p)}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("rows")
    parser.add_argument("--models", default=",".join(MODELS))
    parser.add_argument("--terms", type=int, default=20_000)
    parser.add_argument("--components", type=int, default=100)
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--calls", type=int, default=100)
    parser.add_argument("--blas-threads", type=json.loads, default={}, help='numbers that are known to be the best: {"svd": 2, "mlp": 1}')
    o = parser.parse_args()
    candidates = lambda name: [o.blas_threads[name]] if name in o.blas_threads else sorted({1, o.jobs})
    lines = [json.loads(line) for line in open(o.rows, encoding="utf-8")]
    labels = sorted({line["label"] for line in lines})
    part = lambda name: ([l["cleaned"] for l in lines if l["part"] == name], np.array([labels.index(l["label"]) for l in lines if l["part"] == name]))
    (train, y), (test, z) = part("train"), part("test")
    vec = TfidfVectorizer(lowercase=False, ngram_range=(1, 2), min_df=2, max_features=o.terms, sublinear_tf=True, dtype=np.float32)
    x, fit = timed(lambda: vec.fit_transform(train))
    xt, transform = timed(lambda: vec.transform(test))
    out = {"train": len(train), "test": len(test), "terms": x.shape[1], "entries": x.nnz, "tfidf_fit_transform": fit, "tfidf_transform": transform}
    names = [name for name in o.models.split(",") if name]
    svd, scaler = TruncatedSVD(o.components, n_iter=5, random_state=1), StandardScaler()
    reduced, out["svd_fit_transform"] = best(lambda: svd.fit_transform(x), candidates("svd"))
    out["explained_variance_ratio"] = float(svd.explained_variance_ratio_.sum())
    dense, dense_test = scaler.fit_transform(reduced).astype(np.float32), scaler.transform(svd.transform(xt)).astype(np.float32)
    models = {}
    for name in names:
        sparse, make = MODELS[name]
        jobs = o.jobs
        model, took = best(lambda: make(jobs).fit(x if sparse else dense, y), candidates(name) if name in ("lr_dense", "hist_gb", "mlp") else [1])
        p, predict = timed(lambda: model.predict_proba(xt if sparse else dense_test))
        if hasattr(model, "n_jobs") and name == "random_forest":
            model.n_jobs = 1  # one row: threads only cost
        one = []
        with threadpool_limits(1):
            for i in range(o.calls + 5):
                started = time.perf_counter()
                row = vec.transform([test[i % len(test)]])
                model.predict_proba(row if sparse else scaler.transform(svd.transform(row)).astype(np.float32))
                one.append((time.perf_counter() - started) * 1e6)
        models[name] = {"fit": took, "predict": predict, "row_us": {"p50": float(np.median(one[5:]))}, **scores(z, p),
                        "file_bytes": len(pickle.dumps((vec, None if sparse else (svd, scaler), model)))}
    print(json.dumps(out | {"models": models}))


if __name__ == "__main__":
    main()
