"""Kernels are compiled once for all ranks of a node, and not again by the next run."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from distnn.data import write_data
from tests.support.launch import Result, mpiexec
from tests.support.runs import DISTNN, run_file

#: No other kernels than those of the pooling.
MODEL = {"layers": [{"kind": "max_pool2d"}, {"kind": "flatten"}, {"kind": "dense"}]}
KERNELS = {"maximum", "spread", "_choose"}


def trained(folder: Path, name: str, ranks: int) -> Result:
    """One epoch, with what numba says of its cache."""
    splits = {"train": (np.ones((400, 8, 8, 1), np.float32), np.ones((400, 1)))}
    data = write_data(folder / "data.h5", splits, task="regression", force=True)
    run = run_file(folder / "run.toml", model=MODEL, data={"path": str(data), "batch_size": 400}, train={"epochs": 1})
    env = {"NUMBA_CACHE_DIR": str(folder / "cache"), "NUMBA_DEBUG_CACHE": "1"}
    done = mpiexec(ranks, [*DISTNN, "train", run, "--out", folder / name], env=env)
    assert done.returncode == 0, done
    return done


def saved(result: Result) -> Counter[str]:
    """How often each kernel was compiled and put on the disk."""
    return Counter(re.findall(r"data saved to '[^']*pooling\.(\w+)-[^']*'", result.stdout))


def test_one_rank_compiles(tmp_path: Path) -> None:
    pytest.importorskip("numba", reason="needs numba; cure: pip install '.[fast]'")
    assert saved(trained(tmp_path, "first", 2)) == dict.fromkeys(KERNELS, 1)
    second = trained(tmp_path, "second", 1)
    assert not saved(second)
    assert "data loaded from" in second.stdout
