"""Metrics equal scikit-learn's, however the samples are cut into parts; those by histogram to within their bound."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
import sklearn.metrics as oracle
from hypothesis import given
from hypothesis import strategies as st

from distnn.errors import UsageError
from distnn.metrics import (
    F1,
    R2,
    AveragePrecision,
    BalancedAccuracy,
    CalibrationError,
    ConfusionMatrix,
    IoU,
    MaximumError,
    MeanAbsoluteError,
    Metric,
    Metrics,
    PearsonR,
    Precision,
    Recall,
    RocAuc,
    RootMeanSquaredError,
    TopK,
)

Oracle = Callable[[Any, Any, int], Any]


def of_labels(function: Callable[..., Any], **options: Any) -> Oracle:
    """Of the likeliest class, over all classes."""
    return lambda y, p, classes: function(y, p.argmax(1), labels=range(classes), **options)


def averaged(made: Callable[..., Metric], function: Callable[..., Any]) -> list[tuple[Metric, Oracle]]:
    """Each way of averaging."""
    ways = {"macro": "macro", "micro": "micro", "none": None}
    return [(made(way), of_labels(function, average=name, zero_division=0)) for way, name in ways.items()]


def balanced(y: Any, p: Any, classes: int) -> float:
    """The mean recall of the classes that occur."""
    return float(np.mean([(p.argmax(1) == y)[y == c].mean() for c in np.unique(y)]))


def among_two(y: Any, p: Any, classes: int) -> float:
    """The share of the labels that are among the two likeliest, of equal ones the first."""
    return float(np.mean([label in np.argsort(-row, kind="stable")[:2] for label, row in zip(y, p, strict=True)]))


CLASSIFICATION: list[tuple[Metric, Oracle]] = [
    (ConfusionMatrix(), of_labels(oracle.confusion_matrix)),
    (BalancedAccuracy(), balanced),
    *averaged(Precision, oracle.precision_score),
    *averaged(Recall, oracle.recall_score),
    *averaged(F1, oracle.f1_score),
    *averaged(IoU, oracle.jaccard_score),
    (TopK(1), lambda y, p, classes: oracle.accuracy_score(y, p.argmax(1))),
    (TopK(2), among_two),
]
REGRESSION: list[tuple[Metric, Callable[[Any, Any], Any]]] = [
    (MeanAbsoluteError(), oracle.mean_absolute_error),
    (RootMeanSquaredError(), oracle.root_mean_squared_error),
    (R2(), oracle.r2_score),
    (MeanAbsoluteError("none"), lambda y, p: oracle.mean_absolute_error(y, p, multioutput="raw_values")),
    (R2("none"), lambda y, p: oracle.r2_score(y, p, multioutput="raw_values")),
    (MaximumError("none"), lambda y, p: np.abs(p - y).max(0)),
]


def computed(metric: Metric, task: str, width: int, parts: Sequence[tuple[Any, ...]], ignore: int | None = None) -> Any:
    """Of samples, with their weights if there is a third array, that come in parts, each of which has a row."""
    metrics = Metrics([metric], task, width, ignore, weighted=len(parts[0]) == 3)
    counts, others = np.zeros(metrics.lengths[0]), np.zeros((len(parts), metrics.lengths[1]))
    for row, part in zip(others, parts, strict=True):
        metrics.add(counts, row, *part)
    return metrics.values(counts, metrics.others.merged(others))[metric.name]


@st.composite
def cut(draw: st.DrawFn, classes: int) -> tuple[np.random.Generator, int, list[int]]:
    """A generator, a number of samples, and where they are cut."""
    size = draw(st.integers(2, 60))
    edges = draw(st.lists(st.integers(0, size), max_size=4))
    return np.random.default_rng(draw(st.integers(0, 2**32))), size, sorted(edges)


def parts_of(predictions: Any, targets: Any, edges: list[int]) -> list[tuple[Any, Any]]:
    return list(zip(np.split(predictions, edges), np.split(targets, edges), strict=True))


@pytest.mark.parametrize(("metric", "expected"), CLASSIFICATION, ids=lambda each: getattr(each, "name", ""))
@given(drawn=cut(5), classes=st.sampled_from([2, 3, 5]), ties=st.booleans())
def test_classification(metric: Metric, expected: Oracle, drawn: Any, classes: int, ties: bool) -> None:
    rng, size, edges = drawn
    y, p = rng.integers(0, classes, size), rng.dirichlet(np.ones(classes), size)
    p = np.round(p, 1) if ties else p
    found = computed(metric, "classification", classes, parts_of(p, y, edges))
    np.testing.assert_allclose(found, expected(y, p, classes), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(("metric", "expected"), REGRESSION, ids=lambda each: getattr(each, "name", ""))
@given(drawn=cut(5), width=st.sampled_from([1, 3]), mean=st.sampled_from([0.0, 1e6, -1e9]))
def test_regression(metric: Metric, expected: Callable[[Any, Any], Any], drawn: Any, width: int, mean: float) -> None:
    rng, size, edges = drawn
    y = rng.normal(mean, 1, (size, width))
    p = y + rng.normal(0, 0.5, (size, width))
    found = computed(metric, "regression", width, parts_of(p, y, edges))
    np.testing.assert_allclose(found, expected(y, p), rtol=1e-6)


@given(drawn=cut(5), mean=st.sampled_from([0.0, 1e6]))
def test_pearsons_r(drawn: Any, mean: float) -> None:
    rng, size, edges = drawn
    y = rng.normal(mean, 1, (size, 2))
    p = y + rng.normal(0, 1, (size, 2))
    found = computed(PearsonR("none"), "regression", 2, parts_of(p, y, edges))
    np.testing.assert_allclose(found, [np.corrcoef(y[:, k], p[:, k])[0, 1] for k in range(2)], atol=1e-6)


def own_against_others(y: Any, p: Any, c: int) -> float:
    """The largest error of the area under class c's curve, as it is promised."""
    own, others = (np.bincount((p[chosen, c] * 1024).astype(int), minlength=1025) for chosen in (y == c, y != c))
    return float((own * others).sum() / 2 / own.sum() / others.sum())


@given(drawn=cut(5), classes=st.sampled_from([2, 3]), few=st.booleans())
def test_areas_under_curves(drawn: Any, classes: int, few: bool) -> None:
    rng, size, edges = drawn
    y, p = rng.integers(0, classes, size), rng.dirichlet(np.ones(classes), size)
    y[:classes] = range(min(classes, size))[: len(y)]
    if size < classes:
        return
    p = np.floor(p * 16) / 16 if few else p
    chosen = [1] if classes == 2 else range(classes)
    expected = np.mean([oracle.roc_auc_score(y == c, p[:, c]) for c in chosen])
    found = computed(RocAuc(), "classification", classes, parts_of(p, y, edges))
    assert abs(found - expected) <= (1e-12 if few else np.mean([own_against_others(y, p, c) for c in chosen]) + 1e-12)
    rounded = np.floor(p * 1024) / 1024
    precise = np.mean([oracle.average_precision_score(y == c, rounded[:, c]) for c in chosen])
    found = computed(AveragePrecision(), "classification", classes, parts_of(p, y, edges))
    assert found == pytest.approx(precise, abs=1e-9)


@given(drawn=cut(5))
def test_calibration(drawn: Any) -> None:
    """By its definition, a bin at a time."""
    rng, size, edges = drawn
    y, p = rng.integers(0, 3, size), rng.dirichlet(np.ones(3), size)
    confidence, right, expected = p.max(1), p.argmax(1) == y, 0.0
    for b in range(15):
        inside = (confidence > b / 15) & (confidence <= (b + 1) / 15)
        if inside.any():
            expected += inside.mean() * abs(right[inside].mean() - confidence[inside].mean())
    assert computed(CalibrationError(), "classification", 3, parts_of(p, y, edges)) == pytest.approx(
        expected, abs=1e-12
    )


def test_one_probability_for_two_classes_and_an_ignored_label() -> None:
    y, p = np.array([0, 1, 1, 0]), np.array([[0.2], [0.9], [0.4], [0.6]])
    assert computed(ConfusionMatrix(), "classification", 2, [(p, y)]) == [[1, 1], [1, 1]]
    assert computed(ConfusionMatrix(), "classification", 2, [(p, y)], ignore=0) == [[0, 0], [1, 1]]


def test_each_token_of_a_text_counts() -> None:
    p = np.random.default_rng(0).dirichlet(np.ones(4), (3, 5))
    y = p.argmax(2)
    y[0, 0] = (y[0, 0] + 1) % 4
    assert computed(TopK(1), "language", 4, [(p, y)]) == pytest.approx(14 / 15)


def test_what_does_not_fit() -> None:
    with pytest.raises(UsageError, match='"f1" is not for regression; expected one of: mae, rmse'):
        Metrics([F1()], "regression", 1)
    with pytest.raises(UsageError, match="f1 is there twice"):
        Metrics([F1(), F1()], "classification", 3)
    with pytest.raises(UsageError, match="expected an integer of at least 1"):
        TopK(0)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("metric", [F1(), RocAuc(), CalibrationError(), ConfusionMatrix()])
def test_of_a_prediction_that_is_no_number_none_can_be_told(metric: Metric, bad: float) -> None:
    p = np.full((4, 3), 1 / 3)
    p[2, 1] = bad
    y = np.array([0, 1, 2, 0])
    assert np.isnan(computed(metric, "classification", 3, [(p[:2], y[:2]), (p[2:], y[2:])]))


def test_one_that_lacks_its_formula_is_refused() -> None:
    class Half(Metric):
        def statistic(self, width: int) -> Any: ...

    with pytest.raises(TypeError, match="value"):
        Half()  # type: ignore[abstract]


def test_several_share_their_sums() -> None:
    metrics = Metrics([F1(), IoU("none"), ConfusionMatrix()], "classification", 7)
    assert metrics.counts.length == 49
    assert metrics.others.length == 0
