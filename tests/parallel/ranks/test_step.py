"""The heart: what all ranks compute together is what one rank computes alone, in every form a batch can take.

All ranks train together, and rank 0 in a world of its own as well; both see the same samples in the same order, so that
every step's loss and the final parameters must agree to rounding.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mpi4py import MPI

from distnn.data import DataFile
from distnn.data.partition import batches
from distnn.errors import DistnnError
from distnn.parallel.fingerprints import agreed_fingerprint
from distnn.parallel.world import World
from distnn.session.build import Run
from distnn.train.evaluate import Evaluator
from distnn.train.step import StepResult
from tests.support.runs import assembled, blobs, course, distance, line, once, some_digits, train_epoch
from tests.support.thorough import in_dtypes

pytestmark = pytest.mark.mpi

TOGETHER, ALONE = World.open(MPI.COMM_WORLD), World.open(MPI.COMM_SELF)
LAST = TOGETHER.comm.size - 1
#: Of the digits, which are 3 batches of 64 and one of 17, or 4 of 52 and one of 1.
SAMPLES = 209
TOLERANCE = {"float32": 1e-5, "float64": 1e-12}

MOMENTUM = {"learning_rate": 0.05, "momentum": 0.9}
SLOW = {"learning_rate": 0.01}
CASES: dict[str, dict[str, Any]] = {
    "batches of 64 and a last one of 17": {},
    "in file order": {"data": {"shuffle": False}},
    "a last batch of 1": {"data": {"batch_size": 52}},
    "the full batch": {"data": {"batch_size": "full"}},
    "three batches a step, two in the last": {"data": {"batch_size": 50}, "train": {"accumulate": 3}},
    "all batches in one step": {"train": {"accumulate": 99}},
    "clipped": {"train": {"clip_norm": 0.5}},
    "momentum, clipped, two batches a step": {"optimizer": MOMENTUM, "train": {"clip_norm": 0.5, "accumulate": 2}},
    "Nesterov": {"optimizer": MOMENTUM | {"nesterov": True}},
    "weight decay": {"optimizer": MOMENTUM | {"weight_decay": 0.01}},
    "a schedule": {"schedule": {"kind": "cosine", "warmup_steps": 5}},
    "one shard": {"parallel": {"shards": 1}},
    "five shards": {"parallel": {"shards": 5}},
    "eight shards": {"parallel": {"shards": 8}},
    "five shards, three batches a step": {"parallel": {"shards": 5}, "train": {"accumulate": 3}},
    "two hidden layers, tanh": {"model": {"hidden": [16, 12], "activation": "tanh"}},
    "softmax regression": {"model": {"kind": "softmax"}},
    "class weights and smoothed labels": {
        "loss": {"class_weights": [0.0, 3.0, 0.5, 1.0, 2.0, 1.0, 1.0, 4.0, 0.1, 1.0], "label_smoothing": 0.1}
    },
    "flipped and shifted images": {"augment": {"flip": True, "shift": 2}, "parallel": {"shards": 5}},
    "in buckets": {"parallel": {"reduction": "allreduce", "bucket_mb": 0.002}, "train": {"clip_norm": 0.5}},
    "in buckets, five shards": {"parallel": {"reduction": "allreduce", "bucket_mb": 0.002, "shards": 5}},
    "an ignored label": {"loss": {"ignore_label": 3}, "train": {"clip_norm": 0.5}},
}
#: Those that are done in float32 as well.
NARROW = [
    "batches of 64 and a last one of 17",
    "three batches a step, two in the last",
    "momentum, clipped, two batches a step",
    "class weights and smoothed labels",
    "flipped and shifted images",
    "in buckets, five shards",
]
#: Many small steps, on the first few digits.
FEW = 100
SMALL: dict[str, dict[str, Any]] = {
    "a batch of 1": {"data": {"batch_size": 1}, "optimizer": SLOW},
    "a batch of 2": {"data": {"batch_size": 2}, "optimizer": MOMENTUM},
    "a batch of 3": {"data": {"batch_size": 3}, "optimizer": SLOW},
    "a batch of 3, in buckets": {
        "data": {"batch_size": 3},
        "parallel": {"reduction": "allreduce", "bucket_mb": 0.002},
        "optimizer": SLOW,
    },
    "batches of 2, three a step": {"data": {"batch_size": 2}, "train": {"accumulate": 3}, "optimizer": SLOW},
    "batches of 1, three a step": {"data": {"batch_size": 1}, "train": {"accumulate": 3}, "optimizer": SLOW},
    "more shards than samples": {"parallel": {"shards": 8}, "data": {"batch_size": 6}, "optimizer": SLOW},
}


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """This rank's file with the first `SAMPLES` digits."""
    return some_digits(tmp_path_factory.mktemp("digits") / "digits.h5", SAMPLES)


def run_in(world: World, dtype: str, sections: dict[str, Any], data: Path | None = None) -> Run:
    sections = sections | {"train": sections.get("train", {}) | {"dtype": dtype}}
    if data is not None:
        sections["data"] = sections.get("data", {}) | {"path": str(data)}
    return assembled(world, **sections)


def agree(dtype: str, sections: dict[str, Any], data: Path, epochs: int = 1) -> None:
    tolerance = TOLERANCE[dtype]
    together = run_in(TOGETHER, dtype, sections, data)
    losses, values = once(TOGETHER.comm, lambda: course(run_in(ALONE, dtype, sections, data), epochs))
    for epoch, expected in enumerate(losses):
        found, counts = train_epoch(together, epoch)
        np.testing.assert_allclose(found, expected, rtol=tolerance, atol=0)
        assert counts == due(together)
    assert distance(together.parameters.value, values) <= tolerance
    prints = TOGETHER.comm.allgather(together.parameters.fingerprint())
    assert set(prints) == {agreed_fingerprint(together.world.comm, together.parameters)}


def due(run: Run) -> list[int]:
    """The number of samples in each step of an epoch."""
    a_step = run.batch_size * run.settings.train.accumulate
    return [min(a_step, run.samples - start) for start in range(0, run.samples, a_step)]


@pytest.mark.parametrize(("case", "dtype"), in_dtypes([*CASES], NARROW))
def test_any_number_of_ranks_trains_alike(case: str, dtype: str, digits: Path) -> None:
    agree(dtype, CASES[case], digits)


@pytest.mark.parametrize(("case", "dtype"), in_dtypes([*SMALL], ["a batch of 3, in buckets"]))
def test_any_number_of_ranks_trains_alike_in_small_steps(case: str, dtype: str, tmp_path: Path) -> None:
    agree(dtype, SMALL[case], some_digits(tmp_path / "few.h5", FEW))


@pytest.mark.parametrize("dtype", TOLERANCE)
def test_regression_trains_alike(dtype: str, tmp_path: Path) -> None:
    file = line(tmp_path / "line.h5", {"train": 203})
    sections = {"data": {"batch_size": 10}, "model": {"kind": "linear"}, "optimizer": SLOW}
    agree(dtype, sections, file, epochs=2)


@pytest.mark.parametrize("dtype", TOLERANCE)
def test_logistic_regression_trains_alike(dtype: str, tmp_path: Path) -> None:
    file = blobs(tmp_path / "blobs.h5", {"train": 203}, classes=2)
    sections = {"data": {"batch_size": 10}, "model": {"kind": "logistic"}}
    agree(dtype, sections, file, epochs=2)


@pytest.mark.parametrize("size", [1, 2, 3])
def test_fewer_samples_than_ranks(size: int, tmp_path: Path) -> None:
    file = blobs(tmp_path / "blobs.h5", {"train": size})
    agree("float64", {"data": {"batch_size": "full"}}, file, epochs=3)


# Samples


def joined(lists: Iterable[list[int]]) -> list[int]:
    return list(chain.from_iterable(lists))


def visited(run: Run, epoch: int) -> list[list[int]]:
    """The samples that all ranks together put into their plans, by step, in the order of the ranks."""
    seen: list[list[int]] = []
    fill = run.loader.fill

    def spied(positions: Any, arrays: Any) -> None:
        seen[-1].extend(run.loader.numbers(positions).tolist())
        fill(positions, arrays)

    step = run.step.run

    def counted(*args: Any, **options: Any) -> StepResult:
        seen.append([])
        return step(*args, **options)

    run.loader.fill, run.step.run = spied, counted  # type: ignore[method-assign]
    train_epoch(run, epoch)
    run.loader.fill, run.step.run = fill, step  # type: ignore[method-assign]
    return [joined(parts) for parts in zip(*run.world.comm.allgather(seen), strict=True)]


@pytest.mark.parametrize(
    "case",
    [
        "batches of 64 and a last one of 17",
        "in file order",
        "the full batch",
        "three batches a step, two in the last",
        "five shards",
        "a batch of 1",
        "a batch of 3",
        "more shards than samples",
    ],
)
def test_an_epoch_visits_each_sample_once_and_each_step_the_same_ones(case: str, digits: Path, tmp_path: Path) -> None:
    data = some_digits(tmp_path / "few.h5", FEW) if case in SMALL else digits
    sections = (CASES | SMALL)[case]
    together = run_in(TOGETHER, "float32", sections, data)
    first, second = visited(together, 0), visited(together, 1)
    for epoch in (first, second):
        assert sorted(joined(epoch)) == list(range(together.samples))
    if case != "in file order":
        assert joined(first) != joined(second), "each epoch has an order of its own"
    alone = once(TOGETHER.comm, lambda: visited(run_in(ALONE, "float32", sections, data), 0))
    assert [sorted(step) for step in first] == [sorted(step) for step in alone]


@pytest.mark.parametrize(("batch", "accumulate"), [(32, 2), (16, 4)])
def test_accumulated_batches_are_one_big_batch(batch: int, accumulate: int, digits: Path) -> None:
    train, data = {"dtype": "float64"}, {"path": str(digits)}
    few = {"train": train | {"accumulate": accumulate}, "data": data | {"batch_size": batch}, "optimizer": MOMENTUM}
    small = assembled(TOGETHER, **few)
    big = assembled(TOGETHER, train=train, data=data | {"batch_size": batch * accumulate}, optimizer=MOMENTUM)
    found, counts = train_epoch(small)
    expected, expected_counts = train_epoch(big)
    assert counts == expected_counts
    assert counts[-1] == SAMPLES % 64 == 17, "the last window is ragged"
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    assert distance(small.parameters.value, big.parameters.value) < 1e-12


def test_accumulation_takes_one_step_for_several_batches(digits: Path) -> None:
    run = assembled(TOGETHER, train={"accumulate": 3}, data={"batch_size": 50, "path": str(digits)})
    assert batches(SAMPLES, 50) == 5
    assert run.step.windows == 2


# What else the ranks agree on


def test_clipping_takes_the_norm_of_the_whole_gradient() -> None:
    sections = {"train": {"clip_norm": 1e-3}, "optimizer": {"learning_rate": 1.0}}
    together, alone = (run_in(world, "float64", sections) for world in (TOGETHER, ALONE))
    before = together.parameters.values.copy()
    found, expected = (run.step.run(0, 1.0).norm for run in (together, alone))
    assert found == pytest.approx(expected, rel=1e-12)
    assert found > 1e-3
    assert np.linalg.norm(together.parameters.values - before) == pytest.approx(1e-3, rel=1e-12)


@pytest.mark.parametrize("stopping", [0, LAST])
def test_one_ranks_wish_to_stop_reaches_all(stopping: int) -> None:
    run = assembled(TOGETHER)
    assert run.step.run(0, 0.1).stop == 0
    assert run.step.run(1, 0.1, stop=TOGETHER.comm.rank == stopping).stop == 1


def test_a_loss_that_is_not_finite_on_one_rank_changes_the_parameters_of_none() -> None:
    run = assembled(TOGETHER, model={"kind": "softmax"}, optimizer=MOMENTUM)
    before = run.parameters.fingerprint()
    if TOGETHER.comm.rank == LAST:
        fill = run.loader.fill

        def spoiled(positions: Any, arrays: Any) -> None:
            fill(positions, arrays)
            arrays["x"][-1, 0] = np.nan

        run.loader.fill = spoiled  # type: ignore[method-assign]
    result = run.step.run(0, 0.1)
    assert result.bad
    assert np.isnan(result.sums.loss)
    assert run.parameters.fingerprint() == before
    assert agreed_fingerprint(run.world.comm, run.parameters) == before


@pytest.mark.parametrize("stray", [0, LAST])
def test_a_flipped_bit_is_found_and_its_rank_named(stray: int) -> None:
    run = assembled(TOGETHER, parallel={"reduction": "allreduce"})  # a copy of the parameters on each rank
    agreed_fingerprint(run.world.comm, run.parameters)
    if TOGETHER.comm.rank == stray:
        run.parameters.values.view(np.uint8)[5] ^= 1
    if TOGETHER.comm.size == 1:
        assert agreed_fingerprint(run.world.comm, run.parameters) == run.parameters.fingerprint()
        return
    with pytest.raises(DistnnError) as caught:
        agreed_fingerprint(run.world.comm, run.parameters)
    # Of two ranks that differ none is in the majority: both must still say the same.
    named = stray if TOGETHER.comm.size > 2 else 1
    text = f"no longer the same on every rank: rank {named} on {TOGETHER.comm.host} differ from the others."
    assert text in str(caught.value)
    assert set(TOGETHER.comm.allgather(str(caught.value))) == {str(caught.value)}
    assert caught.value.exit_code == 1


def test_every_rank_begins_with_the_same_parameters() -> None:
    run, other = assembled(TOGETHER), assembled(TOGETHER, train={"seed": 1})
    assert agreed_fingerprint(run.world.comm, run.parameters) == assembled(ALONE).parameters.fingerprint()
    assert agreed_fingerprint(other.world.comm, other.parameters) != agreed_fingerprint(run.world.comm, run.parameters)


def test_any_communicator_will_do() -> None:
    """Half of the ranks train one run while the others train another; neither hears of the other."""
    colour = TOGETHER.comm.rank % 2
    comm = MPI.COMM_WORLD.Split(colour)
    sections = {"train": {"seed": colour, "dtype": "float64"}}
    together, alone = assembled(World.open(comm), **sections), assembled(ALONE, **sections)
    found, _ = train_epoch(together)
    expected, _ = train_epoch(alone)
    np.testing.assert_allclose(found, expected, rtol=1e-12)


# Evaluation


@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_evaluation_counts_each_sample_once(split: str) -> None:
    together, alone = (run_in(world, "float64", {}) for world in (TOGETHER, ALONE))
    expected_count = {"train": 1297, "validation": 200, "test": 300}[split]
    with DataFile(together.settings.data.path) as file:
        evaluated = [Evaluator(run.model, run.parameters, file, split, run.world) for run in (together, alone)]
        found, expected = (evaluator.run() for evaluator in evaluated)
    assert found.samples == expected.samples == expected_count
    assert found.mean_loss == expected.mean_loss, "the same bits"
    assert found.accuracy == expected.accuracy
    assert len(set(TOGETHER.comm.allgather((found.mean_loss, found.accuracy, found.samples)))) == 1


@pytest.mark.parametrize("count", [1, 2, 3])
def test_evaluation_of_fewer_samples_than_ranks(count: int, tmp_path: Path) -> None:
    file = blobs(tmp_path / "blobs.h5", {"train": 9, "test": count})
    together, alone = (run_in(world, "float64", {"data": {"batch_size": 3}}, file) for world in (TOGETHER, ALONE))
    found, expected = together.evaluators["test"].run(), alone.evaluators["test"].run()
    assert found.samples == expected.samples == count
    assert found.mean_loss == pytest.approx(expected.mean_loss, rel=1e-12)
    assert found.accuracy == expected.accuracy
