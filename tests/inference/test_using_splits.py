"""Using a network whose data were cut into splits: what was held out stays so, and other data are used whole."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from distnn.data.cutting import Cut
from distnn.errors import DataError
from distnn.inference.load import restore
from distnn.inference.restored import Restored
from distnn.session.run import train
from tests.support.runs import alone, settings

ALONE = alone()
RANDOM = np.random.default_rng(0)
LABELS = RANDOM.integers(0, 3, 90)
SAMPLES = (np.eye(3)[LABELS] * 4 + RANDOM.normal(size=(90, 3))).astype(np.float32)
TEST = Cut(0.2, 10, 7).at_random("", 90)["test"]


def whole(path: Path, rows: slice = slice(None), *names: str) -> Path:
    """A file without splits."""
    with h5py.File(path, "w") as file:
        for name, values in {"x": SAMPLES, "y": LABELS}.items():
            if not names or name in names:
                file[name] = values[rows]
    return path


def files(folder: Path, rows: range) -> Path:
    """A file for each sample; the pattern of their names."""
    folder.mkdir()
    for row in rows:
        with h5py.File(folder / f"{row:02}.h5", "w") as file:
            file["x"], file["y"] = SAMPLES[row], LABELS[row]
    return folder / "*.h5"


def trained(out: Path, path: Path, **more: Any) -> Restored:
    data = {"path": str(path), "x": "x", "y": "y", "task": "classification", "classes": ["a", "b", "c"]}
    data |= {"split": {"validation": 0.2, "test": 10, "seed": 7}, "batch_size": 20}
    train(settings(model={"kind": "mlp", "hidden": [8]}, data=data | more), out=out, world=ALONE)
    return restore(out, ALONE.comm)


def evaluated(network: Restored, path: Path, split: str = "test") -> tuple[int, list[str]]:
    """How many samples were used, and what was said of it."""
    with network.opened(path, split=split, answers=True) as file:
        return network.evaluate(file, split, ALONE)[0].samples, file.remarks()


def test_a_file(tmp_path: Path) -> None:
    path = whole(tmp_path / "d.h5")
    network = trained(tmp_path / "run", path)
    (tmp_path / "elsewhere").mkdir()
    for same in (path, shutil.copy(path, tmp_path / "elsewhere" / "e.h5")):
        assert evaluated(network, same) == (10, []) and evaluated(network, same, "val") == (18, [])
        with network.opened(same, split="test", answers=False) as file:
            found = network.predict(file, "test", ALONE)
        np.testing.assert_array_equal(found.truth, LABELS[TEST])
        found.write(tmp_path / "p.csv", ALONE.comm, about={}, force=True)
        rows = [int(line.split(",")[0]) for line in (tmp_path / "p.csv").read_text().splitlines()[1:]]
        np.testing.assert_array_equal(rows, TEST)
    count, remarks = evaluated(network, whole(tmp_path / "other.h5", slice(0, 50)))
    assert count == 50 and "[data.split] is not applied: all samples are used" in " ".join(remarks)
    with network.opened(whole(tmp_path / "x.h5", slice(0, 40), "x"), split="test", answers=False) as file:
        assert network.predict(file, "test", ALONE).total == 40


def test_a_file_for_each_sample(tmp_path: Path) -> None:
    path = files(tmp_path / "d", range(90))
    network = trained(tmp_path / "run", path, one_sample_files=True)
    shutil.copytree(tmp_path / "d", tmp_path / "copy")
    for same in (path, tmp_path / "copy" / "*.h5"):
        assert evaluated(network, same) == (10, []) and evaluated(network, same, "train")[0] == 62
    other = files(tmp_path / "other", range(40))
    count, remarks = evaluated(network, other, "train")
    assert count == 40 and "[data.split] is not applied: all samples are used" in " ".join(remarks)
    with pytest.raises(DataError, match="has no split `test`; it holds train"):
        evaluated(network, other)
