"""Metrics of weighted samples equal scikit-learn's, however the samples are cut into parts and whoever adds them up."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import sklearn.metrics as oracle
from hypothesis import given
from hypothesis import strategies as st

from distnn.arrays import Array
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
from distnn.metrics.statistic import Statistic, digits
from tests.metrics.test_metrics import computed, cut

Oracle = Callable[[Any, Any, Any], Any]
CLASSES = 3


def of_labels(function: Callable[..., Any], **options: Any) -> Oracle:
    """Of the likeliest class, over all classes."""
    return lambda y, p, w: function(y, p.argmax(1), labels=range(CLASSES), sample_weight=w, **options)


def against_others(function: Callable[..., Any]) -> Oracle:
    """The mean over the classes, each against the others, of those that have weight and others."""

    def value(y: Any, p: Any, w: Any) -> float:
        some = [c for c in range(CLASSES) if 0 < w[y == c].sum() < w.sum()]
        found = [function(y == c, p[:, c], sample_weight=w) for c in some]
        return float(np.mean(found)) if found else 0.0

    return value


def calibration(y: Any, p: Any, w: Any) -> float:
    """By its definition, a bin at a time."""
    confidence, right, total = p.max(1), p.argmax(1) == y, 0.0
    for b in range(15):
        inside = (confidence > b / 15) & (confidence <= (b + 1) / 15)
        total += abs((w * (right - confidence.astype(float)))[inside].sum())
    return float(total / w.sum())


CLASSIFICATION: list[tuple[Metric, Oracle]] = [
    (ConfusionMatrix(), of_labels(oracle.confusion_matrix)),
    *((Precision(way), of_labels(oracle.precision_score, average=way, zero_division=0)) for way in ("macro", "micro")),
    (Recall("none"), of_labels(oracle.recall_score, average=None, zero_division=0)),
    (F1(), of_labels(oracle.f1_score, average="macro", zero_division=0)),
    (IoU(), of_labels(oracle.jaccard_score, average="macro", zero_division=0)),
    (TopK(1), lambda y, p, w: oracle.accuracy_score(y, p.argmax(1), sample_weight=w)),
    (TopK(2), lambda y, p, w: oracle.top_k_accuracy_score(y, p, k=2, labels=range(CLASSES), sample_weight=w)),
    (RocAuc(), against_others(oracle.roc_auc_score)),
    (AveragePrecision(), against_others(oracle.average_precision_score)),
    (CalibrationError(), calibration),
]


def largest(y: Any, p: Any, w: Any) -> float:
    return float(np.abs(p - y)[w > 0].max())


def correlation(y: Any, p: Any, w: Any) -> float:
    spread = np.cov(y[:, 0], p[:, 0], aweights=w)
    return float(spread[0, 1] / np.sqrt(spread[0, 0] * spread[1, 1]))


REGRESSION: list[tuple[Metric, Oracle]] = [
    (MeanAbsoluteError(), lambda y, p, w: oracle.mean_absolute_error(y, p, sample_weight=w)),
    (RootMeanSquaredError(), lambda y, p, w: oracle.root_mean_squared_error(y, p, sample_weight=w)),
    (R2(), lambda y, p, w: oracle.r2_score(y, p, sample_weight=w)),
    (MaximumError(), largest),
    (PearsonR(), correlation),
]

#: Whole numbers, among them 0; numbers that float32 only just has; and those of scales far apart.
WEIGHTS = {
    "whole": lambda rng, n: rng.integers(0, 4, n).astype(float),
    "any": lambda rng, n: rng.random(n).astype(np.float32),
    "far apart": lambda rng, n: 10.0 ** rng.uniform(-6, 6, n),
}


def drawn_weights(rng: np.random.Generator, size: int, sort: str) -> Any:
    """Of which at least two aren't 0."""
    weights = WEIGHTS[sort](rng, size)
    weights[:2] += 1
    return weights


def cut_up(edges: list[int], *arrays: Any) -> list[tuple[Any, ...]]:
    return list(zip(*(np.split(each, edges) for each in arrays), strict=True))


@pytest.mark.parametrize(("metric", "expected"), CLASSIFICATION, ids=lambda each: getattr(each, "name", ""))
@given(drawn=cut(5), sort=st.sampled_from(list(WEIGHTS)))
def test_classification(metric: Metric, expected: Oracle, drawn: Any, sort: str) -> None:
    rng, size, edges = drawn
    y, w = rng.integers(0, CLASSES, size), drawn_weights(rng, size, sort)
    p = rng.multinomial(1024, [1 / CLASSES] * CLASSES, size) / 1024 + np.arange(CLASSES) * 2.0**-20  # no two are equal
    p = np.floor(p * 1024) / 1024 if isinstance(metric, RocAuc | AveragePrecision) else p
    found = computed(metric, "classification", CLASSES, cut_up(edges, p, y, w))
    np.testing.assert_allclose(found, expected(y, p, w), rtol=1e-6, atol=1e-9)


def test_balanced_accuracy() -> None:
    """scikit-learn's, which knows only the classes that occur."""
    rng = np.random.default_rng(3)
    y, p, w = rng.integers(0, 3, 50), rng.dirichlet(np.ones(3), 50), rng.random(50)
    found = computed(BalancedAccuracy(), "classification", 3, cut_up([7, 31], p, y, w))
    assert found == pytest.approx(oracle.balanced_accuracy_score(y, p.argmax(1), sample_weight=w), abs=1e-12)


@pytest.mark.parametrize(("metric", "expected"), REGRESSION, ids=lambda each: getattr(each, "name", ""))
@given(drawn=cut(5), sort=st.sampled_from(list(WEIGHTS)), mean=st.sampled_from([0.0, 1e5]))
def test_regression(metric: Metric, expected: Oracle, drawn: Any, sort: str, mean: float) -> None:
    rng, size, edges = drawn
    w = drawn_weights(rng, size, sort)
    y = rng.normal(mean, 1, (size, 1 if isinstance(metric, PearsonR) else 3))
    p = y + rng.normal(0, 0.5, y.shape)
    found = computed(metric, "regression", y.shape[1], cut_up(edges, p, y, w))
    np.testing.assert_allclose(found, expected(y, p, w), rtol=1e-6, atol=1e-6 if sort == "far apart" else 1e-9)


@pytest.mark.parametrize("metric", [R2("none"), MeanAbsoluteError("none"), RootMeanSquaredError("none")])
def test_an_elements_weight_and_a_target_that_is_missing(metric: Metric) -> None:
    """Each output as if alone; under a weight of 0 may stand what is no number, and an output may have no targets."""
    rng = np.random.default_rng(1)
    y, p, w = rng.normal(size=(3, 40, 3))
    w = np.maximum(w, 0)
    w[:, 2] = 0
    y[w == 0], p[5, 2] = np.nan, np.inf
    found = computed(metric, "regression", 3, cut_up([3, 3, 30], p, y, w))
    for k in range(2):
        some = w[:, k] > 0
        alone = computed(metric, "regression", 1, [(p[some, k : k + 1], y[some, k], w[some, k])])
        assert found[k] == pytest.approx(alone[0], rel=1e-12)
    assert np.isnan(found[2])
    mean = computed(type(metric)(), "regression", 3, cut_up([3, 3, 30], p, y, w))  # type: ignore[call-arg]
    assert mean == pytest.approx(np.mean(found[:2]))


def test_weights_of_pixels_and_of_whole_images() -> None:
    rng = np.random.default_rng(2)
    p, y = rng.dirichlet(np.ones(3), (4, 5, 5)), rng.integers(0, 3, (4, 5, 5))
    p[0, 0, 0] = np.nan
    for w in (rng.integers(0, 3, (4, 5, 5)).astype(np.float32), np.array([0, 2, 1, 1])):
        w[0] = 0
        each = np.broadcast_to(w.reshape(w.shape + (1,) * (3 - w.ndim)), y.shape).reshape(-1)
        found = computed(ConfusionMatrix(), "classification", 3, cut_up([1], p, y, w))
        seen = each > 0
        labels, taken = y.reshape(-1)[seen], p.reshape(-1, 3)[seen].argmax(1)
        np.testing.assert_array_equal(found, oracle.confusion_matrix(labels, taken, sample_weight=each[seen]))


@pytest.mark.parametrize("metric", [ConfusionMatrix(), F1("none"), RocAuc(), AveragePrecision(), TopK(2)])
def test_sums_of_weights_have_the_same_bits_in_any_order(metric: Metric) -> None:
    """So they may come from any number of ranks; plain sums of these floats differ by their order."""
    rng = np.random.default_rng(0)
    y, p, w = rng.integers(0, 3, 3000), rng.dirichlet(np.ones(3), 3000), rng.random(3000) ** 4
    assert len({float(np.bincount(y[order], w[order])[0]) for order in (slice(None), slice(None, None, -1))}) == 2
    orders = [slice(None), slice(None, None, -1), rng.permutation(3000)]
    parts = [
        cut_up(edges, p[order], y[order], w[order]) for order, edges in zip(orders, ([], [9], [1, 50]), strict=True)
    ]
    first, *more = (computed(metric, "classification", 3, each) for each in parts)
    assert all(each == first for each in more)


@given(st.lists(st.floats(0, 2.0**30), max_size=20))
def test_digits(weights: list[float]) -> None:
    given_weights = np.array(weights)
    parts = digits(given_weights)
    np.testing.assert_allclose(parts.sum(0), given_weights, rtol=1e-15, atol=2.0**-120)
    for place, part in enumerate(parts):
        units = part * 2.0 ** (24 * place)
        assert (units == np.floor(units)).all() and (place == 0 or (units < 2**24).all())


def test_only_ratios_of_weights_matter() -> None:
    random = np.random.default_rng(0)
    p, y, w = random.random((50, CLASSES)), random.integers(0, CLASSES, 50), random.uniform(0.5, 3, 50)
    for factor in (1e-30, 1e-20, 1e9):
        found = computed(Recall(), "classification", CLASSES, [(p, y, w * factor)])
        assert found == pytest.approx(computed(Recall(), "classification", CLASSES, [(p, y, w)]), rel=1e-5)


def test_weights_of_one_and_none_at_all_are_the_same() -> None:
    rng = np.random.default_rng(0)
    y, p = rng.integers(0, 3, 30), rng.dirichlet(np.ones(3), 30)
    for metric, _ in CLASSIFICATION:
        assert computed(metric, "classification", 3, [(p, y, None)]) == computed(metric, "classification", 3, [(p, y)])


def test_a_weight_that_is_no_number_leaves_no_number() -> None:
    y, p, w = np.array([0, 1]), np.array([[0.2, 0.8], [0.3, 0.7]]), np.array([1, np.nan])
    assert np.isnan(computed(F1(), "classification", 2, [(p, y, w)]))


def test_a_statistic_without_weights_is_refused_where_there_are_some() -> None:
    class Samples(Statistic):
        length = 1

        def add(self, total: Array, predictions: Array, targets: Array) -> None:  # type: ignore[override]
            total += len(targets)

    class HowMany(Metric):
        def statistic(self, width: int) -> Statistic:
            return Samples(width)

        def value(self, sums: Array, width: int) -> float:
            return float(sums[0])

    y, p = np.array([0, 1]), np.array([[0.2, 0.8], [0.3, 0.7]])
    assert computed(HowMany(), "classification", 2, [(p, y)]) == 2
    with pytest.raises(UsageError, match="HowMany knows no weights.*Give Samples.add an argument weights=None"):
        Metrics([HowMany()], "classification", 2, weighted=True)
