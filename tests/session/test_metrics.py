"""Records, listeners, and the metrics file."""

from __future__ import annotations

import dataclasses
import json
import math
import os
from pathlib import Path
from typing import Any

import pytest

from distnn.errors import DistnnError
from distnn.session.metrics import MetricsFile, Thinning, join, mend
from distnn.session.records import EvaluationRecord, Listener, Listeners, RunInfo, StepRecord, Summary
from distnn.train.accumulate import Seconds
from tests.support import disks
from tests.support.listening import scores

INFO = RunInfo(
    out=Path("runs/digits"),
    model="mlp 64-10",
    parameters=650,
    ranks=2,
    hosts=1,
    threads=1,
    threads_reason="2 cores for 2 ranks",
    samples=1438,
    batch_size=64,
    epochs=3,
    steps_per_epoch=23,
)
STEP = StepRecord(
    epoch=1,
    epochs=3,
    step=1,
    batch=1,
    batches=23,
    sums=scores(64, 2.0, 0.5),
    learning_rate=0.1,
    samples_per_s=1000.0,
    spent=Seconds(0.3, 0.2, 0.1),
    ranks=2,
)
EVALUATION = EvaluationRecord("validation", 1, 23, scores(179, 0.25, 0.9), 0.01)
SUMMARY = Summary(
    reason="finished 3 epochs",
    complete=True,
    epoch=3,
    step=69,
    seconds=1.5,
    spent=Seconds(1.0, 0.2, 0.1),
    other_s=0.2,
    samples_per_s=2000.0,
    train=None,
    validation=EVALUATION,
    test=None,
    best=0.25,
    best_step=23,
    checkpoint=Path("runs/digits/checkpoints/step-00000069.h5"),
    out=Path("runs/digits"),
    fingerprint="abc",
)


class Clock:
    """A clock that is set by hand."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def lines(path: Path) -> list[dict[str, Any]]:
    """The objects of a file of JSON lines, read as strictly as JSON is."""

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    text = path.read_text()
    assert not text or text.endswith("\n")
    return [json.loads(line, parse_constant=refuse) for line in text.splitlines()]


def test_each_kind_of_line(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    metrics = MetricsFile(path, interval=0)
    metrics.resumed(Path("a.h5"), 5)
    metrics.started(INFO)
    metrics.stepped(STEP)
    metrics.warned("slow")
    metrics.evaluated(EVALUATION)
    metrics.saved(Path("b.h5"), 23)
    metrics.finished(SUMMARY)
    found = lines(path)
    assert [line["kind"] for line in found] == [
        "resume",
        "start",
        "train",
        "warning",
        "evaluation",
        "checkpoint",
        "end",
    ]
    assert all(abs(line["time"] - path.stat().st_mtime) < 60 for line in found)
    _, start, train, warning, evaluation, saved, end = found
    assert list(train) == [
        *("kind", "epoch", "step", "loss", "accuracy", "bits", "learning_rate", "samples_per_s"),
        *("compute_s", "comm_s", "data_s", "ranks", "time"),
    ]
    assert list(evaluation) == [
        *("kind", "split", "epoch", "step", "samples", "loss", "accuracy", "bits", "seconds", "best", "time"),
    ]
    assert (train["step"], train["loss"], train["ranks"]) == (1, 2.0, 2)
    assert (start["parameters"], start["out"]) == (650, "runs/digits")
    assert (warning["text"], saved["path"], saved["step"]) == ("slow", "b.h5", 23)
    assert (evaluation["split"], evaluation["samples"], evaluation["accuracy"]) == ("validation", 179, 0.9)
    assert (end["reason"], end["validation"]["loss"], end["train"]) == ("finished 3 epochs", 0.25, None)
    assert (end["compute_s"], end["comm_s"], end["data_s"], end["other_s"]) == (1.0, 0.2, 0.1, 0.2)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_json_has_no_number_for_is_null(tmp_path: Path, value: float) -> None:
    metrics = MetricsFile(tmp_path / "m", interval=0)
    metrics.stepped(dataclasses.replace(STEP, sums=scores(64, value)))
    metrics.finished(dataclasses.replace(SUMMARY, validation=dataclasses.replace(EVALUATION, sums=scores(179, value))))
    train, end = lines(tmp_path / "m")
    assert train["loss"] is None
    assert train["accuracy"] is None
    assert end["validation"]["loss"] is None


def test_lines_are_on_disk_at_once_and_appended_to(tmp_path: Path) -> None:
    first = MetricsFile(tmp_path / "m")
    first.warned("one")
    assert len(lines(tmp_path / "m")) == 1
    MetricsFile(tmp_path / "m").warned("two")
    assert [line["text"] for line in lines(tmp_path / "m")] == ["one", "two"]


def test_steps_wait_for_the_interval_but_not_beyond_an_evaluation_a_checkpoint_or_the_end(tmp_path: Path) -> None:
    metrics = MetricsFile(tmp_path / "m", interval=1000)
    metrics.started(INFO)
    for step in range(1, 9):
        metrics.stepped(dataclasses.replace(STEP, step=step))
        if step == 3:
            metrics.evaluated(EVALUATION)
        if step == 5:
            metrics.saved(Path("x"), 5)
        if step == 6:
            metrics.finished(SUMMARY)
    assert [line.get("step") for line in lines(tmp_path / "m") if line["kind"] == "train"] == [3, 5, 6]
    metrics.close()
    metrics.close()
    assert lines(tmp_path / "m")[-1]["step"] == 8


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"", b""),
        (b'{"a": 1}\n', b'{"a": 1}\n'),
        (b'{"a": 1}\n{"b": 2}', b'{"a": 1}\n{"b": 2}\n'),
        (b'{"a": 1}\n{"b": ', b'{"a": 1}\n'),
        (b'{"b": ', b""),
        (b'{"a": 1}\n{"b": "' + b"x" * 200_000, b'{"a": 1}\n'),
        (b'{"b": "' + b"x" * 200_000 + b'"}', b'{"b": "' + b"x" * 200_000 + b'"}\n'),
        (b'{"a": 1}\n\xff\xfe', b'{"a": 1}\n'),
    ],
)
def test_the_last_line_of_a_killed_writer_is_mended(tmp_path: Path, before: bytes, after: bytes) -> None:
    path = tmp_path / "m"
    path.write_bytes(before)
    mend(path)
    assert path.read_bytes() == after
    path.write_bytes(before)
    MetricsFile(path).warned("on")
    assert path.read_bytes().startswith(after + b'{"kind": "warning"')


def test_a_folder_that_is_missing(tmp_path: Path) -> None:
    with pytest.raises(
        DistnnError, match=r"the metrics file .*m\.jsonl can't be written: No such file or directory\. Free"
    ):
        MetricsFile(tmp_path / "none" / "m.jsonl")


def test_lines_wait_for_room_on_a_full_disk(tmp_path: Path) -> None:
    warned: list[str] = []
    with disks.small_disk(tmp_path / "disk", "64k") as disk:
        metrics = MetricsFile(disk / "m", interval=0, warn=warned.append)
        metrics.warned("before")
        (disk / "other").write_bytes(bytes(56 << 10))
        for number in range(50):
            metrics.warned(f"{number} " + "x" * 200)
        (text,) = warned
        assert "m can't be written: No space left on device. Free space, or choose another --out. The run goes" in text
        (disk / "other").unlink()
        metrics.warned("after")
        metrics.close()
        lines = [json.loads(line)["text"].split()[0] for line in (disk / "m").read_text().splitlines()]
    assert lines == ["before", *map(str, range(50)), "after"]


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full, where every write fails")
def test_lines_that_could_not_be_written_to_the_end() -> None:
    metrics = MetricsFile("/dev/full", warn=lambda text: None)
    with pytest.raises(DistnnError, match=r"the metrics file /dev/full can't be written: No space left on device\."):
        metrics.finished(SUMMARY)


def test_joined_records_add_their_sums_and_seconds() -> None:
    first = dataclasses.replace(STEP, step=13, sums=scores(96, 2.0, 0.5), samples_per_s=300.0)
    second = dataclasses.replace(STEP, step=14, sums=scores(32, 6.0, 0.9), samples_per_s=100.0)
    joined = join([first, second])
    assert joined.loss == pytest.approx(3.0)
    assert joined.accuracy == pytest.approx(0.6)
    assert joined.samples_per_s == pytest.approx(128 / (96 / 300 + 32 / 100))
    assert dataclasses.astuple(joined.spent) == pytest.approx((0.6, 0.4, 0.2))
    assert (joined.epoch, joined.step) == (1, 14)
    assert join([first, dataclasses.replace(second, epoch=2)]).loss == 6.0, "the last epoch's"
    assert (first.loss, first.spent.compute) == (2.0, 0.3), "as it was"
    assert join([first]) is first


def test_thinning() -> None:
    clock = Clock()
    thinning = Thinning(10, clock)
    thinning.start()
    assert thinning.add(dataclasses.replace(STEP, step=6, sums=scores(128, 3.0))) is None
    clock.now = 10
    joined = thinning.add(dataclasses.replace(STEP, step=7, sums=scores(64, 0.0)))
    assert joined is not None
    assert joined.loss == pytest.approx(2.0)
    assert thinning.flush() is None
    clock.now = 19
    assert thinning.add(dataclasses.replace(STEP, step=8)) is None
    last = thinning.flush()
    assert last is not None
    assert last.step == 8


class Diary(Listener):
    """Writes down which of its methods were called."""

    def __init__(self, interval: float) -> None:
        self.interval = interval
        self.calls: list[str] = []

    def started(self, info: RunInfo) -> None:
        self.calls.append("started")

    def stepped(self, record: StepRecord) -> None:
        self.calls.append("stepped")

    def evaluated(self, record: EvaluationRecord) -> None:
        self.calls.append("evaluated")

    def saved(self, path: Path, step: int) -> None:
        self.calls.append("saved")

    def resumed(self, path: Path, step: int) -> None:
        self.calls.append("resumed")

    def warned(self, text: str) -> None:
        self.calls.append("warned")

    def finished(self, summary: Summary) -> None:
        self.calls.append("finished")

    def close(self) -> None:
        self.calls.append("close")


def tell(listener: Listener) -> None:
    """Call every method."""
    listener.resumed(Path("a"), 1)
    listener.started(INFO)
    listener.stepped(STEP)
    listener.evaluated(EVALUATION)
    listener.saved(Path("a"), 1)
    listener.warned("w")
    listener.finished(SUMMARY)
    listener.close()


def test_listeners_tell_everyone_at_the_shortest_interval() -> None:
    diaries = [Diary(5.0), Diary(0.5)]
    both = Listeners(diaries)
    assert both.interval == 0.5
    tell(both)
    assert diaries[0].calls == diaries[1].calls
    assert diaries[0].calls == [
        *("resumed", "started", "stepped", "evaluated", "saved", "warned", "finished", "close"),
    ]


def test_a_listener_need_not_care() -> None:
    tell(Listener())
    tell(Listeners([]))
    assert Listeners([]).interval == math.inf
