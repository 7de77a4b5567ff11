"""A bit that flips in one rank's parameters is found within `parallel.check_steps`, and the last checkpoint is good."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from mpi4py import MPI

from distnn.errors import DistnnError
from distnn.parallel.world import World
from distnn.session.run import train
from distnn.train.step import Step, StepResult
from tests.support.runs import saved, settings, some_digits

pytestmark = pytest.mark.mpi
WORLD = World.open(MPI.COMM_WORLD)
LAST = WORLD.comm.size - 1
EVERY, FLIPPED = 4, 10


def test_a_flipped_bit_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if WORLD.comm.size == 1:
        return  # one rank has nobody to be compared with
    folder = Path(WORLD.comm.bcast(str(tmp_path)))
    if WORLD.comm.root:
        some_digits(folder / "digits.h5", 400)
    WORLD.comm.barrier()
    intact, steps = Step.run, []

    def run(step: Step, *arguments: object, **options: object) -> StepResult:
        result = intact(step, *arguments, **options)  # type: ignore[arg-type]
        steps.append(step)
        if len(steps) == FLIPPED and WORLD.comm.rank == LAST:
            bits = step.parameters.values.view(np.int32)
            bits[7] ^= 1 << 20
        return result

    monkeypatch.setattr(Step, "run", run)
    chosen = settings(
        data={"path": str(folder / "digits.h5"), "batch_size": 20},
        parallel={"reduction": "allreduce", "check_steps": EVERY},
        checkpoint={"every_steps": 5, "keep": 9},
    )
    with pytest.raises(DistnnError, match=f"no longer the same on every rank: .*rank {LAST} on ") as error:
        train(chosen, out=folder / "run", world=WORLD)
    if WORLD.comm.size == 2:  # neither of two is the usual one, so rank 0 is believed
        assert "rank 1 on" in str(error.value)
    assert len(steps) == 12, "the first multiple of 4 after step 10"
    WORLD.comm.barrier()
    if WORLD.comm.root:
        found = saved(folder / "run")
        assert found.progress["step"] <= FLIPPED
        assert all(np.isfinite(value).all() for value in found.parameters.values())
