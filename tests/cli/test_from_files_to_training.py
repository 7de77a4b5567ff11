"""What people bring: a table, a folder of images, an archive; each is trained with one command before `init`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from tests.support.runs import distnn

RANDOM = np.random.default_rng(0)
ROWS = 300


def words(folder: Path) -> list[str]:
    """Words, True and False, and gaps, of which only two words say anything."""
    frame = pd.DataFrame(
        {
            "bill": RANDOM.normal(20, 8, ROWS).round(2),
            "day": RANDOM.choice(["Thur", "Fri", "Sat"], ROWS),
            "smoker": RANDOM.choice([True, False], ROWS),
            "name": [f"guest {row}" for row in range(ROWS)],
        }
    )
    frame["time"] = np.where((frame["day"] == "Sat") ^ frame["smoker"], "Dinner", "Lunch")
    frame.loc[::7, "bill"] = np.nan
    frame.to_csv(folder / "tips.csv", index=False)
    return ["csv", "tips.csv", "--target", "time", "--drop", "name", "--missing", "keep"]


def times(folder: Path) -> list[str]:
    """Seconds since 1970, which float32 can't tell apart; the answer changes in the middle of them."""
    seconds = 1_700_000_000 + np.arange(ROWS)
    pd.DataFrame({"time": seconds, "state": np.where(seconds < seconds[150], "low", "high")}).to_parquet(
        folder / "t.parquet"
    )
    return ["parquet", "t.parquet", "--target", "state"]


def pictures(folder: Path) -> list[str]:
    for row in range(60):
        name, level = (("dark", 60), ("light", 190))[row % 2]
        path = folder / "pictures" / name / f"{row}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = RANDOM.integers(level - 50, level + 50, (8 + row % 3, 8, 3), dtype="u1")
        Image.fromarray(pixels).save(path)
    return ["images", "pictures", "--resize", "8x8"]


def archive(folder: Path) -> list[str]:
    """Laid out as the data sets of MedMNIST are."""
    arrays = {}
    for split, count in (("train", 90), ("val", 30), ("test", 30)):
        labels = np.arange(count).reshape(-1, 1) % 3
        images = RANDOM.integers(0, 100, (count, 6, 6), dtype="u1")
        arrays |= {f"{split}_images": images + (70 * labels[:, :, None]).astype("u1"), f"{split}_labels": labels}
    np.savez(folder / "med.npz", **arrays)
    return ["npz", "med.npz"]


@pytest.mark.parametrize("write", [words, times, pictures, archive])
def test_a_file_is_converted_and_learnt(write: Callable[[Path], list[str]], tmp_path: Path) -> None:
    """The run file is as `init` proposes it, with transforms where they are needed."""
    for arguments in (
        ["data", *write(tmp_path), "--seed", "1", "-o", "d.h5"],
        ["init", "--data", "d.h5", "-o", "r.toml"],
        ["train", "r.toml", "--set", "train.epochs=30", "--quiet"],
    ):
        done = distnn(*arguments, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
    lines = map(json.loads, (tmp_path / "runs" / "r" / "metrics.jsonl").read_text().splitlines())
    accuracy = {line["split"]: line["accuracy"] for line in lines if line["kind"] == "evaluation"}
    assert accuracy["test"] >= 0.9


def test_several_targets_with_weights_and_gaps_are_learnt(tmp_path: Path) -> None:
    """The lines without weight hold nonsense, and so would the gaps if they counted."""
    x = RANDOM.normal(size=(ROWS, 3))
    frame = pd.DataFrame(x, columns=["a", "b", "c"]).assign(
        u=x @ [1, 2, 0], v=x @ [0, -1, 1] + 3, w=np.arange(ROWS) % 3
    )
    frame.loc[frame["w"] == 0, "u"] = 1e3
    frame.loc[::5, "v"] = np.nan
    frame.to_csv(tmp_path / "m.csv", index=False)
    options = ["--target", "u,v", "--weight", "w", "--missing", "keep"]
    settings = ["--set", "model.kind=linear", "--set", "train.epochs=40", "--set", "optimizer.learning_rate=0.05"]
    (tmp_path / "r.toml").write_text('[model]\nkind = "linear"\n[data]\npath = "m.h5"\nbatch_size = 20\n')
    for arguments in (["data", "csv", "m.csv", *options, "-o", "m.h5"], ["train", "r.toml", *settings, "--quiet"]):
        done = distnn(*arguments, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
    assert "with weights, with masks" in distnn("data", "csv", "m.csv", *options, "-o", "n.h5", cwd=tmp_path).stdout
    lines = map(json.loads, (tmp_path / "runs" / "r" / "metrics.jsonl").read_text().splitlines())
    assert [line["loss"] for line in lines if line["kind"] == "evaluation"][-1] < 1e-3
