"""Files of predictions, read back with the libraries that people read them with."""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

from distnn.arrays import Array
from distnn.data.predictions import ENDINGS, check_ending, check_output, datasets, write_predictions
from distnn.errors import DataError
from distnn.layers import Dense
from distnn.metrics import ConfusionMatrix
from distnn.models import Model

pandas = pytest.importorskip("pandas")

CLASSES = ["cat", "dög, small", "=eel"]
RANDOM = np.random.default_rng(0)
PROBABILITIES = RANDOM.dirichlet([1, 1, 1], 7).astype(np.float32)
LABELS = np.array([2, 0, 1, 1, 0, 2, 2], np.uint8)
OUTPUTS = RANDOM.normal(size=(7, 2)).astype(np.float32)


def pieces(values: Array, classes: list[str], truth: Array | None) -> list[dict[str, Array]]:
    """In three pieces, as three ranks have them; one has none."""
    cuts = [(0, 4), (4, 4), (4, 7)]
    return [datasets(values[a:b], classes, np.arange(a, b), None if truth is None else truth[a:b]) for a, b in cuts]


def written(path: Path, values: Array, classes: list[str], truth: Array | None, targets: tuple[str, ...] = ()) -> Path:
    parts = pieces(values, classes, truth)
    write_predictions(path, parts, classes=classes, targets=targets, about={"split": "test"}, force=False)
    return path


def read(path: Path) -> dict[str, Array]:
    """The columns of a table."""
    if path.suffix == ".npz":
        with np.load(path, allow_pickle=False) as file:
            return dict(file)
    table = pandas.read_csv(path) if path.suffix == ".csv" else pandas.read_parquet(path)
    return {name: table[name].to_numpy() for name in table}


TABLES = [".csv", ".parquet", ".npz"]


@pytest.mark.parametrize("ending", TABLES)
def test_a_table_of_classes(ending: str, tmp_path: Path) -> None:
    table = read(written(tmp_path / f"p{ending}", PROBABILITIES, CLASSES, LABELS))
    names = np.array(CLASSES)
    assert list(table) == ["row", "prediction", *(f"probability_{name}" for name in CLASSES), "truth"]
    assert table["row"].tolist() == list(range(7))
    assert table["prediction"].tolist() == names[PROBABILITIES.argmax(axis=1)].tolist()
    assert table["truth"].tolist() == names[LABELS].tolist()
    for place, name in enumerate(CLASSES):
        assert (table[f"probability_{name}"].astype(np.float32) == PROBABILITIES[:, place]).all(), "to the last bit"


@pytest.mark.parametrize("ending", TABLES)
@pytest.mark.parametrize(
    ("outputs", "targets", "names"),
    [(OUTPUTS, ("price", "rent"), ["_price", "_rent"]), (OUTPUTS, (), ["_0", "_1"]), (OUTPUTS[:, :1], (), [""])],
)
def test_a_table_of_targets(
    outputs: Array, targets: tuple[str, ...], names: list[str], ending: str, tmp_path: Path
) -> None:
    table = read(written(tmp_path / f"p{ending}", outputs, [], outputs + 1, targets))
    assert list(table) == ["row", *(f"prediction{name}" for name in names), *(f"truth{name}" for name in names)]
    for place, name in enumerate(names):
        assert (table[f"prediction{name}"].astype(np.float32) == outputs[:, place]).all()
        assert (table[f"truth{name}"].astype(np.float32) == outputs[:, place] + 1).all()


@pytest.mark.parametrize("ending", TABLES)
def test_a_table_where_the_answers_are_not_known(ending: str, tmp_path: Path) -> None:
    table = read(written(tmp_path / f"p{ending}", OUTPUTS[:, 0], [], None))
    assert list(table) == ["row", "prediction"]


def test_two_classes_of_one_probability_have_two_columns(tmp_path: Path) -> None:
    table = read(written(tmp_path / "p.csv", PROBABILITIES[:, :1], ["no", "yes"], None))
    np.testing.assert_allclose(table["probability_no"] + table["probability_yes"], 1, rtol=1e-6)
    assert (table["prediction"] == np.where(PROBABILITIES[:, 0] > 0.5, "yes", "no")).all()


def test_csv_is_plain_csv(tmp_path: Path) -> None:
    path = written(tmp_path / "p.csv", PROBABILITIES, CLASSES, LABELS)
    with open(path, encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["truth"] for row in rows] == np.array(CLASSES)[LABELS].tolist()


def test_hdf5(tmp_path: Path) -> None:
    path = written(tmp_path / "p.h5", PROBABILITIES, CLASSES, LABELS)
    with h5py.File(path) as file:
        assert set(file) == {"row", "y_pred", "y_true", "probabilities", "class"}
        assert file["row"][:].tolist() == list(range(7))
        assert (file["y_true"][:] == LABELS).all()
        assert (file["probabilities"][:] == PROBABILITIES).all()
        assert (file["y_pred"][:] == PROBABILITIES.argmax(axis=1)).all()
        assert file["class"].asstr()[:].tolist() == np.array(CLASSES)[file["y_pred"][:]].tolist()
        assert (list(file.attrs["classes"]), file.attrs["split"]) == (CLASSES, "test")


def test_where_parquet_comes_from_is_in_its_metadata(tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    schema = parquet.read_schema(written(tmp_path / "p.parquet", OUTPUTS, [], None))
    assert schema.metadata[b"split"] == b"test"


@pytest.mark.parametrize("ending", TABLES)
def test_what_is_no_table_is_refused_by_its_shape(ending: str, tmp_path: Path) -> None:
    tokens = np.full((7, 5, 3), 1 / 3, np.float32)
    with pytest.raises(DataError, match=r"p\.\w+: there are 5 predictions for each sample, .* ends in \.h5"):
        written(tmp_path / f"p{ending}", tokens, CLASSES, None)
    with pytest.raises(DataError, match="there are 4 × 2 predictions for each sample"):
        written(tmp_path / f"p{ending}", np.zeros((7, 4, 2)), [], None)
    with pytest.raises(DataError, match="some classes have the same name"):
        written(tmp_path / f"p{ending}", PROBABILITIES, ["a", "b", "a"], None)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["p.xlsx", "p", "p.h5.gz", ".csv"])
def test_another_ending_is_refused_with_those_that_there_are(name: str, tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        check_output(tmp_path / name, force=False)
    assert "expected one of .h5, .hdf5, .csv, .parquet, .npz." in str(caught.value)


@pytest.mark.parametrize("ending", ENDINGS)
def test_endings_in_any_letters(ending: str) -> None:
    assert check_ending(Path(f"results.v2{ending.upper()}")) == ending


def test_without_pyarrow_it_is_said_before_the_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(DataError, match=r"needs pyarrow, .* pip install 'distnn\[tables\]'"):
        check_output(tmp_path / "p.parquet", force=False)
    check_output(tmp_path / "p.csv", force=False)


def test_accuracy_metrics_and_predictions_take_one_class_beside_the_threshold() -> None:
    """Where rounding makes σ(z) 0.5, and about there."""
    z = np.array([-1e-6, -1e-7, -2e-8, 0, 2e-8, 1e-7, 1e-6], np.float32)[:, None]
    model = Model(Dense(1, bias=False), (1,), task="classification", classes=["no", "yes"], target_shape=())
    parameters = model.initialize()
    parameters.values[:] = 1
    labels = np.ones(len(z), np.float32)
    plan = model.evaluation_plan(len(z), parameters, predicts=True)
    np.copyto(plan.value["x"], z)
    np.copyto(plan.value["y"], labels)
    plan.forward()
    found = plan.value["prediction"].copy()
    assert (found == 0.5).sum() > 1
    metrics = model.metrics([ConfusionMatrix()])
    counts, others = (np.zeros(length) for length in metrics.lengths)
    metrics.add(counts, others, found, labels)
    taken = datasets(found, ["no", "yes"], None)["y_pred"]
    matrix = metrics.values(counts, others)["confusion_matrix"]
    assert [matrix[1][1], plan.value["correct"]] == 2 * [taken.sum()] == 2 * [(found > 0.5).sum()]
