#!/usr/bin/env python3
"""Makes linear.json and tfidf_options.json beside this file with scikit-learn; all inputs are synthetic.

    python3 -m venv venv && venv/bin/pip install scikit-learn==1.9.1 numpy==2.4.6 scipy==1.17.1
    venv/bin/python tests/golden/make_linear.py
"""
import random
import warnings

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import ComplementNB

from make_golden import documents, write

STOP_WORDS = ["the", "and", "of", "great", "été"]


def rows(rng, classes, count):
    labels = [rng.randrange(classes) for _ in range(count)]
    cues = [["plot", "boring"], ["love", "great"], ["kindle", "page"], ["hate"], ["naïve"]]
    texts = documents(rng, count, 3, 20, lambda i: rng.choices(cues[labels[i]], k=rng.randint(0, 3)))
    return texts, labels


def penalties():
    cases = []
    for seed, classes, c, l1_ratio in [(21, 2, 1.0, 1.0), (22, 2, 5.0, 0.5), (23, 3, 2.0, 1.0), (24, 3, 3.0, 0.3)]:
        rng = random.Random(seed)
        texts, labels = rows(rng, classes, 120)
        weights = [rng.choice([0.5, 1.0, 2.0]) for _ in labels]
        test, _ = rows(rng, classes, 25)
        vec = TfidfVectorizer(lowercase=False, ngram_range=(1, 2), min_df=2, sublinear_tf=True)
        x = vec.fit_transform(texts)
        model = LogisticRegression(C=c, l1_ratio=l1_ratio, solver="saga", tol=1e-10, max_iter=200_000)
        model.fit(x, labels, sample_weight=weights)
        cases.append({"classes": classes, "C": c, "l1_ratio": l1_ratio, "texts": texts, "labels": labels, "weights": weights, "test": test,
                      "nonzero": int((np.abs(model.coef_) > 1e-9).sum()), "probabilities": model.predict_proba(vec.transform(test)).tolist()})
    return cases


def bayes():
    cases = []
    for seed, classes, alpha, norm in [(31, 2, 1.0, False), (32, 3, 0.3, False), (33, 4, 1.0, True)]:
        rng = random.Random(seed)
        texts, labels = rows(rng, classes, 120)
        weights = [rng.choice([0.5, 1.0, 2.0]) for _ in labels]
        test, _ = rows(rng, classes, 25)
        vec = TfidfVectorizer(lowercase=False, ngram_range=(1, 2), min_df=2, sublinear_tf=True)
        model = ComplementNB(alpha=alpha, norm=norm).fit(vec.fit_transform(texts), labels, sample_weight=weights)
        cases.append({"classes": classes, "alpha": alpha, "norm": norm, "texts": texts, "labels": labels, "weights": weights, "test": test,
                      "probabilities": model.predict_proba(vec.transform(test)).tolist()})
    return cases


def options():
    rng = random.Random(41)
    docs = documents(rng, 80)
    cases = []
    for unit, low, high, stop_words in [("char", 1, 3, None), ("char", 3, 5, None), ("char_wb", 2, 4, None), ("char_wb", 3, 6, None),
                                        ("word", 1, 2, STOP_WORDS)]:
        vec = TfidfVectorizer(lowercase=False, analyzer=unit, ngram_range=(low, high), min_df=3, sublinear_tf=True, stop_words=stop_words)
        x = vec.fit_transform(docs).tocsr()
        x.sort_indices()
        sample = [[x.indices[x.indptr[i]:x.indptr[i + 1]].tolist(), x.data[x.indptr[i]:x.indptr[i + 1]].tolist()] for i in range(0, len(docs), 9)]
        params = {"unit": unit, "ngram_min": low, "ngram_max": high, "min_df": 3, "max_df": 1.0, "max_features": None, "sublinear": True,
                  "stop_words": stop_words or []}
        cases.append({"params": params, "terms": vec.get_feature_names_out().tolist(), "idf": vec.idf_.tolist(), "every": 9, "rows": sample})
    write("tfidf_options.json", {"documents": docs, "cases": cases})


if __name__ == "__main__":
    warnings.simplefilter("ignore", FutureWarning)
    write("linear.json", {"made_by": "make_linear.py", "penalties": penalties(), "bayes": bayes()})
    options()
