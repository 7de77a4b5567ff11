"""Kernels are compiled once for all ranks of a node, and not again by the next run."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest

from tests.support.launch import Result, mpiexec
from tests.support.runs import DIGITS, DISTNN, run_file

MODEL = {"kind": "convnet", "channels": [2], "hidden": [4]}
KERNELS = {"maximum", "spread", "_choose"}


def trained(folder: Path, name: str) -> Result:
    """One epoch on two ranks, with what numba says of its cache."""
    run = run_file(folder / "run.toml", model=MODEL, data={"path": str(DIGITS), "batch_size": 400}, train={"epochs": 1})
    env = {"NUMBA_CACHE_DIR": str(folder / "cache"), "NUMBA_DEBUG_CACHE": "1"}
    done = mpiexec(2, [*DISTNN, "train", run, "--out", folder / name], env=env)
    assert done.returncode == 0, done
    return done


def saved(result: Result) -> Counter[str]:
    """How often each kernel was compiled and put on the disk."""
    return Counter(re.findall(r"data saved to '[^']*pooling\.(\w+)-[^']*'", result.stdout))


def test_one_rank_compiles(tmp_path: Path) -> None:
    pytest.importorskip("numba", reason="needs numba; cure: pip install '.[fast]'")
    assert saved(trained(tmp_path, "first")) == dict.fromkeys(KERNELS, 1)
    second = trained(tmp_path, "second")
    assert not saved(second)
    assert "data loaded from" in second.stdout
