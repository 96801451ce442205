#!/usr/bin/env python3
"""Makes `evaluation.json` beside this file: reference values of calibration, thresholds, comparing, label noise. All inputs are
synthetic.

    python3 -m venv venv && venv/bin/pip install scikit-learn==1.9.1 numpy==2.4.6 scipy==1.17.1 statsmodels==0.15.0 cleanlab==2.9.0
    venv/bin/python tests/golden/make_evaluation.py
"""
import json
import pathlib

import cleanlab
import numpy as np
import scipy
import sklearn
import statsmodels
from cleanlab.count import compute_confident_joint, estimate_joint
from cleanlab.filter import find_label_issues
from cleanlab.rank import get_label_quality_scores
from scipy import optimize, special, stats
from sklearn import metrics as m
from sklearn.calibration import _sigmoid_calibration
from sklearn.isotonic import IsotonicRegression
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.proportion import proportion_confint

HERE = pathlib.Path(__file__).parent
VERSIONS = {"scikit-learn": sklearn.__version__, "numpy": np.__version__, "scipy": scipy.__version__,
            "statsmodels": statsmodels.__version__, "cleanlab": cleanlab.__version__}


def softmax(logits):
    return np.exp(logits) / np.exp(logits).sum(1, keepdims=True)


def overconfident(rng, rows, k, round_to=None):
    """Labels drawn from the probabilities, which are then sharpened: a model that is too sure of itself."""
    logits = rng.normal(size=(rows, k)) * 1.5
    true = softmax(logits)
    labels = np.array([rng.choice(k, p=p) for p in true])
    probs = softmax(logits * 2.5)
    if round_to is not None:
        probs = np.round(probs, round_to)
        probs[:, -1] = np.clip(np.round(1 - probs[:, :-1].sum(1), 12), 0, 1)
        probs /= probs.sum(1, keepdims=True)
    return labels, probs


def platt(f, y):
    a, b = _sigmoid_calibration(f, y.astype(float))
    return special.expit(-(a * f + b))


def isotonic(f, y, rows):
    low = 1 / (rows + 2)
    curve = IsotonicRegression(out_of_bounds="clip").fit(f, y)
    return np.interp(f, curve.X_thresholds_, np.clip(curve.y_thresholds_, low, 1 - low))


def one_against_rest(labels, probs, fit):
    k = probs.shape[1]
    if k == 2:
        second = fit(probs[:, 1], (labels == 1).astype(int))
        return np.column_stack([1 - second, second])
    each = np.column_stack([fit(probs[:, c], (labels == c).astype(int)) for c in range(k)])
    return each / each.sum(1, keepdims=True)


def calibration():
    rng = np.random.default_rng(21)
    cases = []
    for name, rows, k, round_to in [("binary", 300, 2, None), ("binary with ties", 300, 2, 2), ("four classes", 400, 4, None)]:
        labels, probs = overconfident(rng, rows, k, round_to)
        eps = np.finfo(float).eps
        logp = np.log(np.clip(probs, eps, 1))

        def loss(inverse):
            z = logp * inverse
            return float((special.logsumexp(z, axis=1) - z[np.arange(rows), labels]).mean())
        inverse = optimize.minimize_scalar(loss, bounds=(0.01, 100), method="bounded", options={"xatol": 1e-12}).x
        logit = special.logit(np.clip(probs, eps, 1 - eps))
        iso = [IsotonicRegression(out_of_bounds="clip").fit(probs[:, c], labels == c) for c in range(k)]
        cases.append({
            "name": name, "labels": labels.tolist(), "probs": probs.tolist(), "temperature": 1 / inverse,
            "by_temperature": softmax(logp * inverse).tolist(),
            "by_platt": one_against_rest(labels, probs, lambda f, y: platt(special.logit(np.clip(f, eps, 1 - eps)), y)).tolist(),
            "by_isotonic": one_against_rest(labels, probs, lambda f, y: isotonic(f, y, rows)).tolist(),
            "isotonic_at": np.linspace(0, 1, 41).tolist(),
            "isotonic": [i.predict(np.linspace(0, 1, 41)).tolist() for i in iso],
        })
        assert np.isfinite(logit).all()
    return cases


def threshold():
    rng = np.random.default_rng(22)
    cases = []
    for name, rows, share, round_to in [("few positives", 400, 0.15, None), ("ties", 200, 0.7, 1)]:
        y = (rng.random(rows) < share).astype(int)
        p = special.expit(rng.normal(size=rows) * 1.3 + 1.5 * y - 1.5)
        if round_to:
            p = np.round(p, round_to)
        best = {}
        for metric, score in [("macro_f1", lambda y, g: m.f1_score(y, g, average="macro", labels=[0, 1], zero_division=0)), ("accuracy", m.accuracy_score),
                              ("f1", lambda y, g: m.f1_score(y, g, zero_division=0)), ("balanced_accuracy", m.balanced_accuracy_score),
                              ("mcc", m.matthews_corrcoef)]:
            best[metric] = max(float(score(y, (p >= t).astype(int))) for t in [*np.unique(p), 2.0])
        cases.append({"name": name, "labels": y.tolist(), "second": p.tolist(), "best": best})
    return cases


def abstention():
    rng = np.random.default_rng(23)
    labels, probs = overconfident(rng, 300, 3)
    confidence, wrong = probs.max(1), probs.argmax(1) != labels
    order = np.argsort(-confidence)
    risk = np.cumsum(wrong[order]) / np.arange(1, 301)
    return {"labels": labels.tolist(), "probs": probs.tolist(), "risk": risk.tolist(), "aurc": float(risk.mean())}


def compare():
    tables = []
    for b, c in [(0, 0), (1, 0), (3, 9), (12, 12), (2, 22), (10, 15), (40, 20), (25, 0), (300, 270), (1000, 400)]:
        exact = b + c < 25
        r = mcnemar([[50, b], [c, 50]], exact=exact, correction=True) if b + c else None
        tables.append({"first_only": b, "second_only": c, "exact": exact, "p": float(r.pvalue) if r else 1.0})
    wilson = [[k, n, *map(float, proportion_confint(k, n, 0.05, "wilson"))] for k, n in [(0, 5), (5, 5), (1, 10), (263, 300), (9000, 10000)]]
    chi = [[x, float(stats.chi2.sf(x, 1))] for x in [0.0, 1e-6, 0.1, 0.5, 1.0, 3.841458820694124, 6.0, 10.0, 25.0, 100.0, 700.0]]
    return {"mcnemar": tables, "wilson": wilson, "chi_square": chi}


def noise():
    rng = np.random.default_rng(24)
    cases = []
    for rows, k, flips in [(400, 2, 0.08), (600, 4, 0.1)]:
        truth = rng.choice(k, rows)
        logits = rng.normal(size=(rows, k)) + 2.5 * np.eye(k)[truth]
        probs = softmax(logits)
        flip = rng.random(rows) < flips
        labels = np.where(flip, (truth + 1 + rng.integers(0, k - 1, rows)) % k, truth)
        raw = compute_confident_joint(labels, probs, calibrate=False)
        joint = estimate_joint(labels, probs, confident_joint=compute_confident_joint(labels, probs))
        issues = find_label_issues(labels, probs, filter_by="confident_learning", return_indices_ranked_by="normalized_margin")
        quality = get_label_quality_scores(labels, probs, method="normalized_margin")
        cases.append({"labels": labels.tolist(), "probs": probs.tolist(), "confident_joint": raw.tolist(), "joint": joint.tolist(),
                      "issues": issues.tolist(), "quality": quality.tolist()})
    return cases


if __name__ == "__main__":
    value = {"made_by": "make_evaluation.py", "versions": VERSIONS, "calibration": calibration(), "threshold": threshold(),
             "abstention": abstention(), "compare": compare(), "noise": noise()}
    (HERE / "evaluation.json").write_text(json.dumps(value, separators=(",", ":")) + "\n")
