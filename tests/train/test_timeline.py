"""The timeline of a run: what is in it, that operations lie in their passes, and that it stays small."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from distnn.session.run import train
from distnn.train import timeline
from tests.support.runs import DIGITS, alone, run_file, settings
from tests.support.warm import warm

MODEL = {"kind": "convnet", "channels": [4], "hidden": [8]}
#: A microsecond for what the file rounds.
ROUNDED = 0.02


def traced(out: Path, **sections: Any) -> list[dict[str, Any]]:
    """The events of a run on one rank."""
    sections = {"model": MODEL, "data": {"path": str(DIGITS), "batch_size": 500}, "log": {"trace": True}} | sections
    train(settings(**sections), out=out, world=alone())
    found: list[dict[str, Any]] = json.loads((out / "trace.json").read_text())["traceEvents"]
    return found


def spans(events: list[dict[str, Any]], name: str, line: int = 0) -> list[tuple[float, float]]:
    """When each event of this name began and ended."""
    chosen = [event for event in events if event["name"] == name and event["ph"] == "X" and event["tid"] == line]
    return [(event["ts"], event["ts"] + event["dur"]) for event in chosen]


def test_what_is_in_it(tmp_path: Path) -> None:
    events = traced(tmp_path / "run", train={"epochs": 2})
    steps = 2 * 3
    parts = ("data", "forward", "backward", "reduce", "update")
    for name in (*parts, "conv2d+relu conv2d1 forward", "affine dense2 backward"):
        assert len(spans(events, name)) == steps, name
    for direction in ("forward", "backward"):
        passes = spans(events, direction)
        operations = [event for event in events if event["name"].endswith(f" {direction}")]
        assert {event["name"].split()[0] for event in operations} >= {
            "conv2d+relu",
            "maxpool2d",
            "affine",
            "cross-entropy",
        }
        for event in operations:
            start, stop = event["ts"], event["ts"] + event["dur"]
            assert any(first - ROUNDED <= start <= stop <= last + ROUNDED for first, last in passes), event
    assert len(spans(events, "evaluate validation")) == 2
    assert len(spans(events, "evaluate test")) == 1
    assert len(spans(events, "checkpoint", timeline.SAVING)) == 2
    for (_, stop), (start, _) in pairwise(sorted(span for name in parts for span in spans(events, name))):
        assert stop <= start + ROUNDED, "one after the other"


def test_it_is_written_only_if_asked_for(tmp_path: Path) -> None:
    train(settings(model={"kind": "softmax"}, data={"path": str(DIGITS)}), out=tmp_path / "run", world=alone())
    assert not (tmp_path / "run" / "trace.json").exists()


def test_it_stays_small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timeline, "EVENTS", 150)
    events = traced(tmp_path / "run", train={"epochs": 5})
    assert len([event for event in events if event["ph"] == "X"]) == 150


def test_several_ranks_are_in_one_file(tmp_path: Path) -> None:
    sections = {"model": MODEL, "data": {"path": str(DIGITS), "batch_size": 500}, "log": {"trace": True}}
    run = run_file(tmp_path / "run.toml", train={"epochs": 1}, **sections)
    done = warm(3, ["train", run, "--out", tmp_path / "out"])
    assert done.returncode == 0, done
    events = json.loads((tmp_path / "out" / "trace.json").read_text())["traceEvents"]
    for rank in range(3):
        mine = [event for event in events if event["pid"] == rank]
        assert len(spans(mine, "reduce")) == 3
        assert any(event["ph"] == "M" and event["args"]["name"].startswith(f"rank {rank} on ") for event in mine)
        assert min(start for start, _ in spans(mine, "data")) < 5e6, "all count from the beginning"
