"""Saving on several ranks: a checkpoint holds the state of its step, however late it is copied, whoever writes it."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from distnn import checkpoint
from distnn.arrays import Array
from distnn.checkpoint import background, extents
from distnn.errors import CheckpointError
from distnn.parallel.communicator import Communicator
from distnn.parallel.world import World
from distnn.session.run import train
from tests.support.listening import Ear
from tests.support.reproducible import RUNS, SHARDS, babble, images
from tests.support.runs import DIGITS, saved, settings
from tests.support.thorough import THOROUGH

WORLD = World.open()
#: A network whose checkpoints have four of these pieces: three ranks have a share in them.
PIECE = 50_000
LARGE: dict[str, Any] = {
    "model": {"kind": "mlp", "hidden": [96, 96]},
    "optimizer": {"kind": "adam", "learning_rate": 0.001},
    "data": {"path": str(DIGITS), "batch_size": 512},
    "parallel": {"reproducible": True, "shards": 4},
    "train": {"epochs": 1},
}


@pytest.mark.mpi
@pytest.mark.parametrize(
    ("name", "reproducible"),
    [
        (name, reproducible)
        for name, usual in (("CNN, batch norm, momentum, augmentation", False), ("LSTM", True))
        for reproducible in ((False, True) if THOROUGH else (usual,))
    ],
)
def test_each_leads_to_the_same_end(
    name: str, reproducible: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Running statistics, carried states and units are those of the step, whatever the next step has begun."""
    folder: Path = WORLD.comm.bcast(tmp_path)
    text = name == "LSTM"
    data = WORLD.comm.on_root(lambda: babble(folder / "text.h5", 900) if text else images(folder / "digits.h5"))
    sections: dict[str, Any] = {**RUNS[name], "train": {"epochs": 1}, "schedule": {}}
    sections["data"] = {"path": str(data), "batch_size": 30, "streams": text}
    sections["parallel"] = SHARDS | {"reproducible": reproducible}

    def trained(out: str, **more: Any) -> str:
        resume = more.pop("resume", None)
        train(settings(**sections, **more), out=folder / out, resume=resume, world=WORLD)
        return WORLD.comm.on_root(lambda: checkpoint.digest(saved(folder / out)))

    copy = background.Snapshot.take

    def late(snapshot: background.Snapshot, sources: Sequence[Array]) -> list[Array]:
        time.sleep(0.05)
        return copy(snapshot, sources)

    monkeypatch.setattr(background.Snapshot, "take", late)
    end = trained("run", checkpoint={"every_steps": 2, "keep": 99})
    monkeypatch.undo()
    steps = WORLD.comm.on_root(lambda: sorted((folder / "run" / "checkpoints").glob("step-*.h5"))[:-1])
    assert len(steps) >= 2
    for path in steps[:2]:
        assert trained(f"from {path.stem}", resume=str(path)) == end


def large(folder: Path, world: World = WORLD, **options: Any) -> Ear:
    """Train the large network, saving after each second step; what rank 0 was told."""
    ear = Ear()
    options = {"every_steps": 2, "keep": 99, **options}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(extents, "PIECE", PIECE)
        train(settings(**LARGE, checkpoint=options), out=folder, world=world, listener=ear if world.comm.root else None)
    return ear


@pytest.mark.mpi
def test_written_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is what one rank alone writes, by whomever; a rank that doesn't see the folder isn't needed."""
    folder: Path = WORLD.comm.bcast(tmp_path)
    wrote: list[int] = []
    fill = checkpoint.fill

    def count(path: Path, final: Path, blocks: list[checkpoint.Extent]) -> None:
        wrote.append(sum(len(block.content) for block in blocks))
        fill(path, final, blocks)

    monkeypatch.setattr(checkpoint, "fill", count)
    shares = {}
    for name in ("seen", "unseen"):
        monkeypatch.setattr(os.path, "exists", lambda path, seen=name == "seen": seen)
        wrote.clear()
        large(folder / name)
        shares[name] = WORLD.comm.allgather(wrote[-1] if wrote else 0)
    monkeypatch.undo()

    def compare() -> None:
        large(folder / "alone", World.of(Communicator()))
        runs = {run: folder / run / "checkpoints" for run in ("alone", "seen", "unseen")}
        for path in runs.values():
            files = [f"step-{step:08d}.h5" for step in (2, 3)]
            assert sorted(file.name for file in path.iterdir()) == ["best", "latest", *files]
        for name in ("best", "latest", *files):
            alone, *others = (checkpoint.load(path / name) for path in runs.values())
            for other in others:
                assert checkpoint.digest(alone) == checkpoint.digest(other)
                assert alone.progress | {"seconds": 0} == other.progress | {"seconds": 0}

    WORLD.comm.on_root(compare)
    if WORLD.comm.size > 1:
        assert sum(size > 0 for size in shares["seen"]) == min(WORLD.comm.size, 3)
        assert sum(size > 0 for size in shares["unseen"]) == 1
        for found in shares.values():
            assert sum(found) == 4 * 3 * (64 * 96 + 96 + 96 * 96 + 96 + 96 * 10 + 10)


@pytest.mark.mpi
def test_a_rank_that_cannot_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The run says which, and stops; what was saved before is there."""
    folder: Path = WORLD.comm.bcast(tmp_path)
    last = min(WORLD.comm.size, 3) - 1
    pwrite, latest = os.pwrite, folder / "run" / "checkpoints" / "latest"

    def full(descriptor: int, data: bytes, offset: int) -> int:
        if WORLD.comm.rank == last and latest.exists():
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return pwrite(descriptor, data, offset)

    monkeypatch.setattr(os, "pwrite", full)
    with pytest.raises(CheckpointError, match="No space left on device") as caught:
        large(folder / "run", on_failure="stop")
    assert WORLD.comm.size == 1 or f"rank {last} on {WORLD.comm.hosts[last]}: {folder}" in str(caught.value)

    def check() -> None:
        files = sorted(path.name for path in (folder / "run" / "checkpoints").iterdir())
        assert files[0] == "latest"
        assert files[1].startswith("step-"), "and nothing that is half written"
        assert checkpoint.load(latest).progress["step"] == 2

    WORLD.comm.on_root(check)
