"""States carried along streams: the text read in pieces is the text read whole, and nothing is allocated on the way."""

from __future__ import annotations

import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import threadpoolctl

from distnn import checkpoint, graph
from distnn.config import from_dict, to_dict
from distnn.data import DataFile
from distnn.data.loader import Loader
from distnn.errors import CheckpointError, RunFileError
from distnn.models import Model, build
from distnn.session.build import Run
from distnn.session.progress import Progress
from distnn.sums import Layout
from distnn.train.evaluate import Evaluator, predict
from tests.support.runs import alone, assembled, babble, settings, train_epoch

STREAMS = 4
MODEL = {"kind": "char-lstm", "embedding": 3, "hidden": [6, 5]}


@pytest.fixture(autouse=True)
def one_thread():
    with threadpoolctl.threadpool_limits(1, user_api="blas"):
        yield


def run(folder: Path, characters: int = 230, **sections: Any) -> Run:
    data = {"path": str(babble(folder / "text.h5", characters)), "batch_size": STREAMS, "streams": True}
    sections["data"] = data | sections.get("data", {})
    sections["model"] = MODEL | sections.get("model", {})
    sections["train"] = {"dtype": "float64"} | sections.get("train", {})
    return assembled(alone(), **sections)


def whole_text(run: Run, x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """The loss per character and accuracy of each stream read as one long sequence."""
    loss = correct = 0.0
    for tokens, targets in zip(x, y, strict=True):
        model: Model = build(
            run.settings.model.table(),
            (len(tokens),),
            task="language",
            classes=run.model.classes,
            target_shape=(len(tokens),),
        )
        plan = model.evaluation_plan(1, run.parameters)
        for name in model.states:
            plan.value[f"before {name}"][...] = 0
        graph.bind_input(plan, "x", tokens[None])
        graph.bind_input(plan, "y", targets[None])
        plan.forward()
        loss += float(plan.value["loss"])
        correct += float(plan.value["correct"])
    count = sum(map(len, y))
    return loss / count, correct / count


def cut(values: np.ndarray, streams: int) -> list[np.ndarray]:
    return [piece.ravel() for piece in np.array_split(values, streams)]


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_an_epoch_reads_each_stream_as_one_text(cell: str, tmp_path: Path) -> None:
    """With a learning rate too small to matter, the epoch's mean loss is that of the streams read whole."""
    found = run(tmp_path, model={"cell": cell}, optimizer={"learning_rate": 1e-15})
    loader = found.loader
    assert len(loader) == 41, "the last step has one stream of four"
    for epoch in range(2):  # the second begins from zeros again
        losses, samples = train_epoch(found, epoch)
        assert samples == [4] * 10 + [1]
        loss, _ = whole_text(found, cut(loader.fields["x"], STREAMS), cut(loader.fields["y"], STREAMS))
        assert np.average(losses, weights=samples) == pytest.approx(loss, rel=1e-12)


def test_without_streams_each_sequence_begins_from_zero(tmp_path: Path) -> None:
    found = run(tmp_path, data={"streams": False, "shuffle": False}, optimizer={"learning_rate": 1e-15})
    losses, samples = train_epoch(found)
    loader = found.loader
    loss, _ = whole_text(found, list(loader.fields["x"]), list(loader.fields["y"]))
    assert np.average(losses, weights=samples) == pytest.approx(loss, rel=1e-12)
    assert found.step.carried.state == {}


@pytest.mark.parametrize(("characters", "streams"), [(230, 41), (900, 64)])
def test_a_split_is_evaluated_in_streams(characters: int, streams: int, tmp_path: Path) -> None:
    found = run(tmp_path, characters)
    with DataFile(found.settings.data.path) as file:
        x, y = file.read("train")
        evaluator = Evaluator(found.model, found.parameters, file, "train", alone())
    for _ in range(2):
        result = evaluator.run()
        assert (result.mean_loss, result.accuracy) == pytest.approx(whole_text(found, cut(x, streams), cut(y, streams)))
        assert result.samples == len(x)
        assert result.bits == pytest.approx(result.mean_loss / np.log(2))


def test_predictions_begin_from_zero(tmp_path: Path) -> None:
    found = run(tmp_path)
    with DataFile(found.settings.data.path) as file:
        loader = Loader.read(file, "train")
    p = predict(found.model, found.parameters, loader)
    assert p.shape == (41, 5, 7)
    chosen = np.take_along_axis(p, loader.fields["y"].astype(int)[..., None], axis=2)
    assert -np.log(chosen).mean() == pytest.approx(
        whole_text(found, list(loader.fields["x"]), list(loader.fields["y"]))[0]
    )


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_a_step_allocates_no_array(cell: str, tmp_path: Path) -> None:
    model = {"cell": cell, "embedding": 32, "hidden": [64, 64], "dropout": 0.1}
    train = {"dtype": "float32", "clip_norm": 1.0}
    sections = {"model": model, "train": train, "data": {"batch_size": 32}, "parallel": {"shards": 2}}
    found = run(tmp_path, 20_000, **sections, optimizer={"kind": "adam"})
    train_epoch(found)
    windows = [*range(found.step.windows - 20, found.step.windows), *range(80)]
    tracemalloc.start()
    try:
        found.step.run(windows[0], 1e-3)
        tracemalloc.reset_peak()
        before = tracemalloc.get_traced_memory()[0]
        for window in windows:
            found.step.run(window, 1e-3)
        growth = tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()
    assert growth < 64 * 1024, growth


def test_a_checkpoint_keeps_states_by_name(tmp_path: Path) -> None:
    found = run(tmp_path)
    found.step.run(0, 0.1)
    states = found.step.carried.collect(alone().comm, found.step.batching.shards)
    assert states is not None
    assert {name: state.shape for name, state in states.items()} == {
        "lstm1.h": (4, 6), "lstm1.c": (4, 6), "lstm2.h": (4, 5), "lstm2.c": (4, 5),
    }  # fmt: skip
    saved = checkpoint.Checkpoint({"w": np.zeros(2)}, progress={"step": 1}, state=states)
    path = checkpoint.save(tmp_path, saved, keep=1, best=False)
    loaded = checkpoint.load(path)
    assert loaded.state.keys() == states.keys()
    for name, state in states.items():
        np.testing.assert_array_equal(loaded.state[name], state)
    assert checkpoint.digest(loaded) == checkpoint.digest(saved)
    states["lstm1.h"] = states["lstm1.h"] + 1
    assert checkpoint.digest(saved) != checkpoint.digest(loaded)


def test_another_order_cannot_be_taken_up_in_the_middle_of_an_epoch() -> None:
    sums = Layout({"loss": 1}).zeros()
    progress = Progress(0, 64, 1, "streams", sums=sums)
    saved = Progress(0, 64, 1, "shuffled", window=3, sums=sums).to_dict()
    with pytest.raises(CheckpointError, match="was made with order = shuffled and stands in the middle of an epoch"):
        progress.resume(saved, "a.h5")
    progress.resume(saved | {"window": 0, "epoch": 2}, "a.h5")
    assert (progress.epoch, progress.order) == (2, "streams")
    del saved["order"]  # a checkpoint of distnn 0.1.0
    Progress(0, 64, 1, sums=sums).resume(saved, "a.h5")


def test_streams_in_a_run_file() -> None:
    data = {"path": "x.h5", "batch_size": 8, "streams": True}
    chosen = settings(data=data)
    assert "shuffle" not in to_dict(chosen)["data"]
    assert from_dict(to_dict(chosen)) == chosen
    with pytest.raises(RunFileError, match="data.shuffle has no meaning with streams = true"):
        settings(data=data | {"shuffle": False})
    with pytest.raises(RunFileError, match="each stream is a single sequence; give a number of streams"):
        settings(data=data | {"batch_size": "full"})
