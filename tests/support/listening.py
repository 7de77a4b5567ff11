"""Training in this process, and a listener that keeps all that it hears."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from distnn.session.records import EvaluationRecord, Listener, StepRecord, Summary
from distnn.session.run import train
from distnn.sums import CORRECT, COUNT, LOSS, SAMPLES, Layout, Sums
from tests.support.runs import alone, settings


class Ear(Listener):
    """Hears everything, every step."""

    interval = 0.0

    def __init__(self) -> None:
        self.steps: list[StepRecord] = []
        self.evaluations: list[EvaluationRecord] = []
        self.saves: list[tuple[str, int]] = []
        self.warnings: list[str] = []

    def stepped(self, record: StepRecord) -> None:
        self.steps.append(record)

    def evaluated(self, record: EvaluationRecord) -> None:
        self.evaluations.append(record)

    def saved(self, path: Path, step: int) -> None:
        self.saves.append((path.name, step))

    def warned(self, text: str) -> None:
        self.warnings.append(text)

    def of(self, split: str) -> list[EvaluationRecord]:
        return [record for record in self.evaluations if record.split == split]


def scores(samples: int, loss: float, accuracy: float | None = None) -> Sums:
    """The sums of so many samples with these means."""
    sums = Layout({"loss": 1} | ({} if accuracy is None else {"correct": 1})).zeros()
    sums.vector[[LOSS, CORRECT, COUNT, SAMPLES]] = samples * loss, samples * (accuracy or 0), samples, samples
    return sums


def trained(
    data: Path, out: Path, *, resume: str | None = None, max_time: float | None = None, **sections: Any
) -> tuple[Summary, Ear]:
    """Softmax regression in batches of 32: four steps an epoch."""
    sections = {"model": {"kind": "softmax"}, **sections}
    sections["data"] = {"path": str(data), "batch_size": 32} | sections.get("data", {})
    ear = Ear()
    summary, _ = train(settings(**sections), out=out, resume=resume, max_time=max_time, world=alone(), listener=ear)
    return summary, ear
