"""Small tables, as people have them: what `distnn` proposes, beside scikit-learn's MLP with a `StandardScaler`.

    python benchmarks/tables.py
    python benchmarks/tables.py --seeds 5
    python benchmarks/tables.py --only wine iris --folds 2

Five folds of each table, cut anew for each seed. A fold's other four become a CSV file, which is taken through the
commands with nothing edited:

    distnn data csv train.csv --target target --test 0 -o data.h5
    distnn init --data data.h5
    distnn train run.toml
    distnn predict runs/run test.h5 --split train -o predictions.h5

So a tenth of the four is for validation, and distnn trains on the rest; scikit-learn's trains on all four. It is given
its defaults with up to 1,000 epochs; for a regression, it is tried with its default of 200 epochs as well, with targets
as they are and standardised, and the best of these counts. Printed are the mean accuracy, or R², of each, and by how
much distnn's differs, each with its standard deviation over the seeds; the exit code is 1 if it is less by more than
0.01 anywhere. One cut into folds says little: of wine's 178 samples two more are 0.011.

The prices are made, in the likeness of California's (Pace and Barry, Sparse Spatial Autoregressions, 1997): incomes,
ages, rooms and places, and the median price in dollars. See README.md in this folder.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import platform
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import distnn.runtime  # noqa: F401 (before numpy)

# isort: split
import h5py
import numpy as np
from sklearn import datasets
from sklearn.compose import TransformedTargetRegressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import accuracy_score, r2_score
from sklearn.model_selection import KFold, StratifiedKFold
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from distnn.cli.main import main as distnn_main

Table = tuple[np.ndarray, np.ndarray]
#: By how much less a mean score may be.
LESS = 0.01


def prices(samples: int = 4000) -> Table:
    """Made prices of houses."""
    random = np.random.default_rng(0)
    income, age = random.gamma(4, 1.0, samples), random.integers(1, 53, samples)
    rooms, persons = random.gamma(20, 0.27, samples), random.gamma(12, 0.25, samples)
    bedrooms, population = rooms / 5 * random.uniform(0.9, 1.2, samples), random.lognormal(7, 0.7, samples)
    north = random.uniform(32.5, 42, samples)
    east = -114.5 - (north - 32.5) * 0.9 - random.uniform(0, 2, samples)
    cities = sum(np.exp(-((north - n) ** 2 + (east - e) ** 2) / 2) for n, e in ((34, -118.3), (37.7, -122.4)))
    value = 45000 * income**0.8 * (1 + 0.8 * cities) + 600 * age - 12000 * (persons - 3)
    value += 5000 * np.log(rooms / bedrooms) + random.normal(0, 20000, samples)
    return np.column_stack([income, age, rooms, bedrooms, population, persons, north, east]), np.clip(value, 15e3, 5e5)


#: Each table, and whether its targets are quantities.
TABLES: dict[str, tuple[Callable[[], Table], bool]] = {
    "breast cancer": (lambda: datasets.load_breast_cancer(return_X_y=True), False),
    "wine": (lambda: datasets.load_wine(return_X_y=True), False),
    "digits": (lambda: datasets.load_digits(return_X_y=True), False),
    "iris": (lambda: datasets.load_iris(return_X_y=True), False),
    "diabetes": (lambda: datasets.load_diabetes(return_X_y=True, scaled=False), True),
    "prices": (prices, True),
}


def folds(y: np.ndarray, count: int, seed: int, *, quantities: bool) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """The samples of each fold's training and test."""
    cut = (KFold if quantities else StratifiedKFold)(5, shuffle=True, random_state=seed)
    for number, parts in enumerate(cut.split(y, y)):
        if number < count:
            yield parts


def by_distnn(train: Table, test: Table, *, quantities: bool) -> float:
    """The score of what `distnn init` proposes."""
    task = ["--task", "regression" if quantities else "classification"]
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        for name, table in (("train", train), ("test", test)):
            write_csv(Path(f"{name}.csv"), table)
        run("data", "csv", "train.csv", "--target", "target", *task, "--test", "0", "-o", "data.h5")
        alone = ("--validation", "0", "--test", "0")
        run("data", "csv", "test.csv", "--target", "target", *task, *alone, "-o", "test.h5")
        run("init", "--data", "data.h5")
        run("train", "run.toml")
        run("predict", "runs/run", "test.h5", "--split", "train", "-o", "predictions.h5")
        with h5py.File("predictions.h5") as predicted, h5py.File("test.h5") as file:
            return score(file["train/y"][:], predicted["y_pred"][:].reshape(-1), quantities=quantities)


def write_csv(path: Path, table: Table) -> None:
    """The features by number, and the target."""
    x, y = table
    names = [*(f"feature {column}" for column in range(x.shape[1])), "target"]
    lines = [",".join([*map(repr, row), repr(target)]) for row, target in zip(x.tolist(), y.tolist(), strict=True)]
    path.write_text("\n".join([",".join(names), *lines]) + "\n")


def run(*words: str) -> None:
    """A command of distnn, which has to succeed."""
    said = io.StringIO()
    try:
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            distnn_main([*words])
    except SystemExit as end:
        if end.code not in (0, None):
            raise RuntimeError(f"distnn {' '.join(words)} ended with {end.code}:\n{said.getvalue()}") from None


def by_scikit_learn(train: Table, test: Table, *, quantities: bool) -> dict[str, float]:
    """The scores of its MLP, by what was chosen."""
    if not quantities:
        models: dict[str, Any] = {"1,000 epochs": MLPClassifier(max_iter=1000, random_state=0)}
        models = {name: make_pipeline(StandardScaler(), model) for name, model in models.items()}
    else:
        models = {}
        for epochs in (200, 1000):
            model = make_pipeline(StandardScaler(), MLPRegressor(max_iter=epochs, random_state=0))
            models[f"{epochs:,} epochs"] = model
            standardised = TransformedTargetRegressor(model, transformer=StandardScaler())
            models[f"{epochs:,} epochs, standardised targets"] = standardised
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        predicted = {name: model.fit(*train).predict(test[0]) for name, model in models.items()}
    return {name: score(test[1], values, quantities=quantities) for name, values in predicted.items()}


def score(truth: np.ndarray, predicted: np.ndarray, *, quantities: bool) -> float:
    """R², or the accuracy."""
    return float((r2_score if quantities else accuracy_score)(truth, predicted))


def compare(name: str, count: int, seeds: int) -> float:
    """Print a line about a table; by how much distnn's mean score is less."""
    load, quantities = TABLES[name]
    x, y = load()
    mine, others = [], []  # for each seed the mean over the folds
    for seed in range(seeds):
        scores, theirs = [], []
        for train, test in folds(y, count, seed, quantities=quantities):
            parts = (x[train], y[train]), (x[test], y[test])
            scores.append(by_distnn(*parts, quantities=quantities))
            theirs.append(by_scikit_learn(*parts, quantities=quantities))
        mine.append(np.mean(scores))
        others.append({way: np.mean([each[way] for each in theirs]) for way in theirs[0]})
    best = max(others[0], key=lambda way: np.mean([each[way] for each in others]))
    best_of_others = np.array([each[best] for each in others])
    more = np.array(mine) - best_of_others
    less = -float(more.mean())
    print(
        f"{name:<14} {len(y):>5} × {x.shape[1]:<3} {'R²' if quantities else 'accuracy':<9} "
        f"distnn {spread(mine)}  scikit-learn {spread(best_of_others)} ({best})  "
        f"{spread(more, sign='+')}{'  TOO LITTLE' if less > LESS else ''}",
        flush=True,
    )
    return less


def spread(values: Any, sign: str = "") -> str:
    """The mean, and where there are several the standard deviation."""
    return f"{np.mean(values):{sign}.4f}" + (f" ± {np.std(values, ddof=1):.4f}" if len(values) > 1 else "")


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--only", nargs="+", choices=TABLES, default=list(TABLES), help="these tables")
    parser.add_argument("--folds", type=int, default=5, help="so many of the five")
    parser.add_argument("--seeds", type=int, default=1, help="so many cuts into folds")
    chosen = parser.parse_args()
    print(f"{platform.machine()}, {os.cpu_count()} cores, {processor()}", flush=True)
    return int(max(compare(name, chosen.folds, chosen.seeds) for name in chosen.only) > LESS)


def processor() -> str:
    """The name of the CPU."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown CPU")


if __name__ == "__main__":
    sys.exit(main())
