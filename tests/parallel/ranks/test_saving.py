"""Checkpoints that are copied late hold the state of their step, on any number of ranks."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from distnn.parallel.world import World
from distnn.train import background, checkpoint
from distnn.train.run import train
from tests.parallel.test_reproducible import RUNS, SHARDS, babble, images
from tests.runs import saved, settings

WORLD = World.open()


@pytest.mark.mpi
@pytest.mark.parametrize("name", ["CNN, batch norm, momentum, augmentation", "LSTM"])
@pytest.mark.parametrize("reproducible", [False, True])
def test_each_leads_to_the_same_end(
    name: str, reproducible: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Running statistics, carried states and units are those of the step, whatever the next step has begun."""
    folder: Path = WORLD.bcast(tmp_path)
    text = name == "LSTM"
    data = WORLD.on_root(lambda: babble(folder / "text.h5", 900) if text else images(folder / "digits.h5"))
    sections: dict[str, Any] = {**RUNS[name], "train": {"epochs": 1}, "schedule": {}}
    sections["data"] = {"path": str(data), "batch_size": 30, "streams": text}
    sections["parallel"] = SHARDS | {"reproducible": reproducible}

    def trained(out: str, **more: Any) -> str:
        resume = more.pop("resume", None)
        train(settings(**sections, **more), out=folder / out, resume=resume, world=WORLD)
        return WORLD.on_root(lambda: checkpoint.digest(saved(folder / out)))

    copy = background.Snapshot.take

    def late(snapshot: background.Snapshot) -> None:
        time.sleep(0.05)
        copy(snapshot)

    monkeypatch.setattr(background.Snapshot, "take", late)
    end = trained("run", checkpoint={"every_steps": 2, "keep": 99})
    monkeypatch.undo()
    steps = WORLD.on_root(lambda: sorted((folder / "run" / "checkpoints").glob("step-*.h5"))[:-1])
    assert len(steps) >= 2
    for path in steps[:2]:
        assert trained(f"from {path.stem}", resume=str(path)) == end
