"""Metrics: what an evaluation tells besides the loss."""

# Messages and pages list kinds in this order.
# isort: off
from distnn.metrics.metric import Metric, Metrics, Value
from distnn.metrics.classification import (
    AveragePrecision,
    BalancedAccuracy,
    CalibrationError,
    ConfusionMatrix,
    F1,
    IoU,
    Precision,
    Recall,
    RocAuc,
    TopK,
)
from distnn.metrics.regression import MaximumError, MeanAbsoluteError, PearsonR, R2, RootMeanSquaredError
# isort: on

__all__ = [
    "F1",
    "R2",
    "AveragePrecision",
    "BalancedAccuracy",
    "CalibrationError",
    "ConfusionMatrix",
    "IoU",
    "MaximumError",
    "MeanAbsoluteError",
    "Metric",
    "Metrics",
    "PearsonR",
    "Precision",
    "Recall",
    "RocAuc",
    "RootMeanSquaredError",
    "TopK",
    "Value",
]
