#!/usr/bin/env python3
"""Makes trees.json beside this file with scikit-learn; all inputs are synthetic and whole numbers or halves, exact in any float.

    python3 -m venv venv && venv/bin/pip install scikit-learn==1.9.1 numpy==2.4.6 scipy==1.17.1
    venv/bin/python tests/golden/make_trees.py
"""
import json
import pathlib

import numpy as np
import sklearn
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.ensemble._hist_gradient_boosting.binning import _BinMapper

HERE = pathlib.Path(__file__).parent


def matrix(rng, rows, columns, missing):
    x = rng.integers(-40, 41, (rows, columns)) / 2
    x[:, 0] = rng.integers(0, 3, rows)  # few values
    x[rng.random(x.shape) < missing] = np.nan
    return x


def plain(x):
    return [[None if np.isnan(v) else v for v in row] for row in x.tolist()]


def edges(rng):
    cases = []
    for values, max_bins in [(rng.integers(0, 5, 40), 255), (rng.integers(0, 400, 1000), 16), (rng.integers(0, 400, 997), 255),
                             (rng.integers(-3, 4, 50), 3), (np.full(20, 7), 255), (rng.integers(0, 100000, 1300), 255)]:
        column = values.astype(float).reshape(-1, 1)
        mapper = _BinMapper(n_bins=max_bins + 1).fit(column)
        cases.append({"values": column[:, 0].tolist(), "max_bins": max_bins, "edges": mapper.bin_thresholds_[0].tolist(),
                      "codes": mapper.transform(column)[:, 0].tolist()})
    return cases


def boosting(rng):
    cases = []
    for classes, missing, weighted, params in [
        (2, 0.0, False, dict(max_iter=20)),
        (2, 0.1, False, dict(max_iter=20, max_depth=3, learning_rate=0.3)),
        (3, 0.0, False, dict(max_iter=10, l2_regularization=1.5, max_leaf_nodes=8, max_bins=12)),
        (4, 0.05, True, dict(max_iter=8, min_samples_leaf=5)),
        (2, 0.05, True, dict(max_iter=15, min_samples_leaf=10, max_leaf_nodes=None, max_depth=5)),
    ]:
        x = matrix(rng, 320, 6, missing)
        z = np.nan_to_num(x)
        signal = z[:, 1] + z[:, 2] * (z[:, 0] - 1) + np.isnan(x[:, 3]) * 8 + rng.normal(0, 6, len(x))
        y = np.searchsorted(np.quantile(signal, np.arange(1, classes) / classes), signal)
        # Exact as f32, and so many that no two splits are equally good: between those scikit-learn chooses by rounding.
        weights = rng.integers(64, 256, len(x)) / 128 if weighted else np.ones(len(x))
        model = HistGradientBoostingClassifier(early_stopping=False, **params)
        # With weights and more values than bins scikit-learn takes weighted quantiles; Tenor takes plain ones. Here there are few values.
        model.fit(x, y, sample_weight=weights if weighted else None)
        # New rows without missing values: where a node had none, scikit-learn's rounding decides which side they go to.
        few = np.vstack([x[:60], matrix(rng, 20, 6, 0.0)])
        cases.append({"classes": classes, "params": params, "x": plain(x), "y": y.tolist(), "weights": weights.tolist(), "rows": plain(few),
                      "probabilities": model.predict_proba(few).tolist()})
    return cases


def forest(rng):
    """A forest without any chance: every column at every split, no bootstrap, so every tree is the same."""
    cases = []
    for classes, params in [(2, dict(max_depth=4, min_samples_leaf=5)), (3, dict(max_depth=3, min_samples_leaf=7, criterion="entropy"))]:
        # Asked about the rows it was fitted on: where between two values a threshold lies then plays no part.
        x = rng.integers(0, 30, (150, 4)).astype(float)
        signal = x[:, 1] - x[:, 2] + rng.normal(0, 8, len(x))
        y = np.searchsorted(np.quantile(signal, np.arange(1, classes) / classes), signal)
        weights = rng.integers(1, 4, len(x)).astype(float)
        model = RandomForestClassifier(n_estimators=1, bootstrap=False, max_features=None, random_state=0, **params)
        model.fit(x, y, sample_weight=weights)
        cases.append({"classes": classes, "params": params, "x": plain(x), "y": y.tolist(), "weights": weights.tolist(),
                      "rows": plain(x), "probabilities": model.predict_proba(x).tolist(),
                      "importances": model.feature_importances_.tolist()})
    return cases


def main():
    rng = np.random.default_rng(5)
    value = {"made_by": "make_trees.py", "versions": {"scikit-learn": sklearn.__version__, "numpy": np.__version__},
             "edges": edges(rng), "boosting": boosting(rng), "forest": forest(rng)}
    (HERE / "trees.json").write_text(json.dumps(value, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
