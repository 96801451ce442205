#!/usr/bin/env python3
"""Makes the reference values beside this file with scikit-learn; all inputs are synthetic.

    python3 -m venv venv && venv/bin/pip install scikit-learn==1.9.1 numpy==2.4.6 scipy==1.17.1
    venv/bin/python tests/golden/make_golden.py
"""
import json
import pathlib
import random

import numpy as np
import scipy
import scipy.sparse as sp
import sklearn
from sklearn import metrics as m
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

HERE = pathlib.Path(__file__).parent
VERSIONS = {"scikit-learn": sklearn.__version__, "numpy": np.__version__, "scipy": scipy.__version__}
WORDS = ("book story read great boring plot love character hate ending slow fast été naïve straße 2nd part_two a I don't kindle "
         "page author novel series привет 你好 x1 y the and of to in it is was that this for with as on but not they").split()


def write(name, value):
    value = {"made_by": "make_golden.py", "versions": VERSIONS, **value}
    (HERE / name).write_text(json.dumps(value, ensure_ascii=False, separators=(",", ":")) + "\n")


def documents(rng, count, low=0, high=40, cue=None):
    """`count` texts; word i has weight 1/(i+2); `cue(i)` gives extra words for text i."""
    weights = [1 / (i + 2) for i in range(len(WORDS))]
    out = []
    for i in range(count):
        words = rng.choices(WORDS, weights, k=rng.randint(low, high))
        if cue:
            words += cue(i)
            rng.shuffle(words)
        out.append(rng.choice([" ", " ", "  "]).join(words))
    return out


def tfidf():
    rng = random.Random(11)
    docs = documents(rng, 150)
    cases = []
    for params in [
        dict(ngram_min=1, ngram_max=1, min_df=1, max_df=1.0, max_features=None, sublinear=False),
        dict(ngram_min=1, ngram_max=2, min_df=2, max_df=1.0, max_features=None, sublinear=True),
        dict(ngram_min=1, ngram_max=3, min_df=3, max_df=0.5, max_features=None, sublinear=True),
        dict(ngram_min=2, ngram_max=2, min_df=2, max_df=1.0, max_features=None, sublinear=False),
        dict(ngram_min=2, ngram_max=4, min_df=2, max_df=0.25, max_features=None, sublinear=True),
        dict(ngram_min=1, ngram_max=2, min_df=2, max_df=0.9, max_features=100, sublinear=True),
    ]:
        def make(limit):
            return TfidfVectorizer(lowercase=False, ngram_range=(params["ngram_min"], params["ngram_max"]), min_df=params["min_df"],
                                   max_df=params["max_df"], max_features=limit, sublinear_tf=params["sublinear"])
        if params["max_features"]:
            # The nearest limit that does not cut between terms with equally many occurrences: there the choice is arbitrary.
            from sklearn.feature_extraction.text import CountVectorizer
            cv = CountVectorizer(lowercase=False, ngram_range=(params["ngram_min"], params["ngram_max"]), min_df=params["min_df"], max_df=params["max_df"])
            totals = np.sort(np.asarray(cv.fit_transform(docs).sum(0)).ravel())[::-1]
            while totals[params["max_features"] - 1] == totals[params["max_features"]]:
                params["max_features"] -= 1
        vec = make(params["max_features"])
        x = vec.fit_transform(docs).tocsr()
        x.sort_indices()
        rows = [[x.indices[x.indptr[i]:x.indptr[i + 1]].tolist(), x.data[x.indptr[i]:x.indptr[i + 1]].tolist()] for i in range(0, len(docs), 5)]
        cases.append({"params": params, "terms": vec.get_feature_names_out().tolist(), "idf": vec.idf_.tolist(), "every": 5, "rows": rows})
    write("tfidf.json", {"documents": docs, "cases": cases})


def svd():
    """Randomized, so only the well separated leading components are stored; ARPACK gives the exact singular values."""
    docs = documents(random.Random(17), 400, 0, 30)
    x = TfidfVectorizer(lowercase=False, ngram_range=(1, 2), min_df=2, sublinear_tf=True, dtype=np.float32).fit_transform(docs).tocsr()
    x.sort_indices()
    cases = []
    for components, iterations in [(5, 5), (20, 5), (20, 2)]:
        fitted = TruncatedSVD(components, n_iter=iterations, random_state=0).fit(x)
        exact = TruncatedSVD(components, algorithm="arpack", random_state=0).fit(x.astype(np.float64))
        cases.append({"params": {"components": components, "oversamples": 10, "power_iterations": iterations},
                      "singular_values": fitted.singular_values_.tolist(), "exact_singular_values": exact.singular_values_.tolist(),
                      "explained_variance": fitted.explained_variance_.tolist(),
                      "explained_variance_ratio": fitted.explained_variance_ratio_.tolist(), "leading": np.round(fitted.components_[:5].astype(np.float64), 6).tolist()})
    write("svd.json", {"width": x.shape[1], "offsets": x.indptr.tolist(), "columns": x.indices.tolist(), "values": [float(str(v)) for v in x.data], "cases": cases})


def logreg():
    cases = []
    for seed, classes, params in [
        (1, 2, dict(C=1.0, class_weight=None)),
        (2, 2, dict(C=10.0, class_weight="balanced")),
        (3, 3, dict(C=1.0, class_weight=None)),
        (4, 5, dict(C=3.0, class_weight="balanced")),
        (5, 3, dict(C=0.1, class_weight={0: 1.0, 1: 2.5, 2: 0.5})),
    ]:
        rng = random.Random(seed)
        labels = [min(rng.randrange(classes), rng.randrange(classes)) for _ in range(300)]
        cues = ["great love", "boring hate", "slow ending", "plot novel", "author series"]
        docs = documents(rng, 300, 5, 30, lambda i: cues[labels[i] if rng.random() < 0.7 else rng.randrange(classes)].split())
        numeric = [[rng.gauss(labels[i], 2.0), rng.lognormvariate(3, 1)] for i in range(300)]
        train, test = slice(0, 220), slice(220, 300)
        vec = TfidfVectorizer(lowercase=False, ngram_range=(1, 2), min_df=2, sublinear_tf=True)
        scaler = StandardScaler()
        text_weight, numeric_weight = 0.8, 1.5

        def stack(t, n):
            return sp.hstack([t * text_weight, sp.csr_matrix(n * numeric_weight)]).astype(np.float32).astype(np.float64).tocsr()
        x = stack(vec.fit_transform(docs[train]), scaler.fit_transform(numeric[train]))
        weights = params["class_weight"]
        model = LogisticRegression(C=params["C"], class_weight=weights, tol=1e-9, max_iter=20000)
        model.fit(x, labels[train])
        z = stack(vec.transform(docs[test]), scaler.transform(numeric[test]))
        if isinstance(weights, dict):
            weights = {f"class {k}": v for k, v in weights.items()}
        cases.append({"classes": classes, "C": params["C"], "class_weight": weights, "text_weight": text_weight, "numeric_weight": numeric_weight,
                      "train": {"texts": docs[train], "numeric": numeric[train], "labels": labels[train]},
                      "test": {"texts": docs[test], "numeric": numeric[test]}, "probabilities": model.predict_proba(z).tolist(),
                      "intercept": model.intercept_.tolist(), "coefficients": model.coef_.tolist()})
    write("logreg.json", {"cases": cases})


def ece(labels, probs, bins=15):
    """Guo et al. 2017, equation 3: top-class confidence in `bins` equal bins, right edges closed."""
    confidence, right = probs.max(1), probs.argmax(1) == labels
    total = 0.0
    for low, high in zip(np.linspace(0, 1, bins + 1)[:-1], np.linspace(0, 1, bins + 1)[1:]):
        inside = (confidence > low) & (confidence <= high)
        if inside.any():
            total += inside.mean() * abs(right[inside].mean() - confidence[inside].mean())
    return float(total)


def metric_values(labels, probs, stars):
    k = probs.shape[1]
    guess = probs.argmax(1)
    out = {"accuracy": m.accuracy_score(labels, guess), "mcc": m.matthews_corrcoef(labels, guess), "log_loss": m.log_loss(labels, probs, labels=range(k)),
           "confusion": m.confusion_matrix(labels, guess, labels=range(k)).tolist(), "ece": ece(labels, probs)}
    for average in ("macro", "weighted"):
        p, r, f, _ = m.precision_recall_fscore_support(labels, guess, labels=range(k), average=average, zero_division=0)
        out |= {f"{average}_precision": p, f"{average}_recall": r, f"{average}_f1": f}
    p, r, f, s = m.precision_recall_fscore_support(labels, guess, labels=range(k), zero_division=0)
    out["per_class"] = [dict(precision=a, recall=b, f1=c, support=int(d)) for a, b, c, d in zip(p, r, f, s)]
    if k == 2:
        out |= {"roc_auc": m.roc_auc_score(labels, probs[:, 1]), "pr_auc": m.average_precision_score(labels, probs[:, 1]),
                "brier": m.brier_score_loss(labels, probs[:, 1])}
        fpr, tpr, _ = m.roc_curve(labels, probs[:, 1], drop_intermediate=False)
        precision, recall, _ = m.precision_recall_curve(labels, probs[:, 1])
        out |= {"roc_curve": [fpr.tolist(), tpr.tolist()], "pr_curve": [recall[::-1].tolist(), precision[::-1].tolist()]}
    else:
        onehot = np.eye(k)[labels]
        out |= {"roc_auc": m.roc_auc_score(labels, probs, multi_class="ovr", average="macro"), "pr_auc": m.average_precision_score(onehot, probs, average="macro"),
                "brier": m.brier_score_loss(labels, probs, labels=range(k))}
    if stars:
        y, g = np.array(stars)[labels], np.array(stars)[guess]
        out |= {"mae": m.mean_absolute_error(y, g), "within_one": float((abs(y - g) <= 1).mean()), "quadratic_kappa": m.cohen_kappa_score(labels, guess, weights="quadratic", labels=range(k))}
    return {k: (float(v) if isinstance(v, (np.floating, float)) else v) for k, v in out.items()}


def metrics():
    rng = np.random.default_rng(5)
    cases = []
    for name, rows, k, round_to, stars in [
        ("binary", 400, 2, None, None), ("binary with ties", 400, 2, 1, None), ("five stars", 500, 5, None, [1.0, 2.0, 3.0, 4.0, 5.0]),
        ("three classes with ties", 200, 3, 1, None), ("small binary", 7, 2, 1, None), ("certain and wrong", 60, 3, 0, None), ("a class never guessed", 120, 4, None, None),
    ]:
        labels = np.concatenate([np.arange(k), rng.choice(k, rows - k, p=(w := np.arange(1, k + 1) / np.arange(1, k + 1).sum()))])
        logits = rng.normal(size=(rows, k)) + 1.2 * np.eye(k)[labels]
        if name == "a class never guessed":
            logits[:, 0] -= 9
        probs = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
        if round_to is not None:
            probs = np.round(probs, round_to)
            last = 1 - probs[:, :-1].sum(1)
            probs[:, -1] = np.round(last, 12)
            probs = np.clip(probs, 0, 1)
            probs /= probs.sum(1, keepdims=True)
        cases.append({"name": name, "labels": labels.tolist(), "probs": probs.tolist(), "stars": stars, "values": metric_values(labels, probs, stars)})
    write("metrics.json", {"cases": cases})


if __name__ == "__main__":
    tfidf()
    svd()
    logreg()
    metrics()
