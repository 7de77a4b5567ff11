"""Training on a file that is read as it is needed: the same bits as from memory, on any number of ranks."""

from __future__ import annotations

from pathlib import Path

import pytest

from distnn import checkpoint
from tests.support.reproducible import prepare, told
from tests.support.resuming import finished, train

IMAGES = "CNN, batch norm, momentum, augmentation"


@pytest.mark.parametrize(
    ("name", "more"),
    [
        (IMAGES, ["--set", "data.shuffle_buffer=64"]),
        (IMAGES, []),
        ("LSTM", []),
    ],
)
def test_the_bits_are_those_of_data_in_memory(name: str, more: list[str], tmp_path: Path) -> None:
    run = prepare(tmp_path, name)
    whole = finished(2, run, tmp_path / "memory", *more)
    for ranks in (1, 3):
        out = tmp_path / f"file-{ranks}"
        end = finished(ranks, run, out, *more, "--set", "data.in_memory=false")
        assert checkpoint.digest(end) == checkpoint.digest(whole)
        assert told(out) == told(tmp_path / "memory")


def test_resumed_in_the_middle_of_an_epoch_on_other_ranks_and_from_memory(tmp_path: Path) -> None:
    run = prepare(tmp_path, IMAGES, checkpoint={"every_steps": 3, "keep": 99})
    more = ["--set", "data.shuffle_buffer=50", "--set", "data.in_memory=false"]
    whole = finished(2, run, tmp_path / "whole", *more)
    for step, ranks, where in ((3, 3, "false"), (9, 1, "true")):
        middle = tmp_path / "whole" / "checkpoints" / f"step-{step:08d}.h5"
        end = finished(ranks, run, tmp_path / f"{step}", *more, "--set", f"data.in_memory={where}", "--resume", middle)
        assert checkpoint.digest(end) == checkpoint.digest(whole)
    refused = train(1, run, tmp_path / "other", "--resume", middle, "--set", "data.shuffle_buffer=60")
    assert refused.returncode == 2, refused
    assert "was made with order = buffer of 50" in refused.stderr
