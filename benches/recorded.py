"""Searches over recorded trials: how real classifiers scored at the points of a grid, and between them by interpolation.

The same, number for number, as in src/recorded.rs. All objectives are minimised.
"""
import bisect
import csv
import math
from pathlib import Path

TABLE = Path(__file__).resolve().parent / "tables" / "kindle_trials.csv"
MEASURES = {"macro_f1", "accuracy", "log_loss", "latency_us", "model_bytes"}
CHOICES = {"penalty", "stemming", "norm"}
BY_LOGARITHM = {"C", "alpha", "learning_rate"}


def scaled(name, number):
    return math.log(number) if name in BY_LOGARITHM else number


def text(value):
    return str(value).lower() if isinstance(value, bool) else value


class Kind:
    """The grid of one kind."""

    def __init__(self, rows):
        self.names = [name for name, value in rows[0].items() if value and name not in MEASURES and name != "kind"]
        number = lambda row, name: scaled(name, float(row[name]))
        self.levels = {name: sorted({number(row, name) for row in rows}) for name in self.names if name not in CHOICES}
        place = lambda row, name: row[name] if name in CHOICES else self.levels[name].index(number(row, name))
        self.rows = [([place(row, name) for name in self.names], (1 - float(row["macro_f1"]), math.log(float(row["model_bytes"])))) for row in rows]

    def place(self, name, value):
        """Between which levels a value lies: 1.25 is a quarter of the way from level 1 to level 2."""
        if name in CHOICES:
            return text(value)
        number, levels = scaled(name, value), self.levels[name]
        upper = min(max(bisect.bisect_right(levels, number), 1), len(levels) - 1)
        return upper - 1 + (number - levels[upper - 1]) / (levels[upper] - levels[upper - 1])

    def losses(self, values):
        places = [self.place(name, values[name]) for name in self.names]
        sums = [0.0, 0.0]
        for levels, losses in self.rows:
            weight = 1.0
            for at, level in zip(places, levels):
                weight *= float(at == level) if isinstance(level, str) else max(1 - abs(at - level), 0.0)
            for at, loss in enumerate(losses):
                sums[at] += weight * loss
        return tuple(sums)


def read():
    with open(TABLE, newline="") as file:
        rows = list(csv.DictReader(file))
    return {kind: Kind([row for row in rows if row["kind"] == kind]) for kind in dict.fromkeys(row["kind"] for row in rows)}


KINDS = read()
LOSSES = [losses for kind in KINDS.values() for _, losses in kind.rows]
OPTIMUM = min(error for error, _ in LOSSES)
REFERENCE = tuple(map(max, zip(*LOSSES)))


def recorded_mo(t):
    kind = t.suggest_categorical("kind", ["logreg", "nbsvm", "complement_nb", "hist_gb"])
    of, values = (lambda name: f"{kind}.{name}"), {}
    if kind == "logreg":
        values["C"] = t.suggest_float(of("C"), 0.01, 100, log=True)
        values["penalty"] = t.suggest_categorical(of("penalty"), ["l2", "l1"])
    elif kind == "nbsvm":
        values["C"] = t.suggest_float(of("C"), 0.03, 30, log=True)
        values["beta"] = t.suggest_float(of("beta"), 0, 1)
    elif kind == "complement_nb":
        values["alpha"] = t.suggest_float(of("alpha"), 0.01, 10, log=True)
        values["norm"] = t.suggest_categorical(of("norm"), [False, True])
    else:
        values["learning_rate"] = t.suggest_float(of("learning_rate"), 0.01, 0.3, log=True)
        values["max_iter"] = t.suggest_int(of("max_iter"), 60, 160, step=20)
        values["svd_components"] = t.suggest_int(of("svd_components"), 20, 100, step=20)
        values["min_samples_leaf"] = t.suggest_int(of("min_samples_leaf"), 10, 60, step=10)
    if kind != "hist_gb":
        values["max_features"] = t.suggest_int(of("max_features"), 2000, 6000, step=500)
        values["stemming"] = t.suggest_categorical(of("stemming"), ["null", "english"])
    return KINDS[kind].losses(values)


def recorded(t):
    return recorded_mo(t)[0]


# As the peers' PROBLEMS: function, number of objectives, known optimum, reference point.
PROBLEMS = {"recorded": (recorded, 1, OPTIMUM, None), "recorded_mo": (recorded_mo, 2, None, REFERENCE)}
