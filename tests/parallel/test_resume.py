"""A run that stops in order goes on as if nothing had happened, on any number of ranks; and what may not be resumed."""

from __future__ import annotations

import os
import re
import shutil
import signal
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from distnn import checkpoint
from tests.support.launch import Launch, Result, launchers
from tests.support.resuming import LIMIT, STEPS, command, finished, newest, progress, train, write
from tests.support.runs import babble, distance, losses, metrics, saved, snapshot

# On another number of ranks


@pytest.mark.parametrize(
    ("launcher", "first", "then", "sections"),
    [
        ("mpich", 1, 3, {}),
        ("mpich", 3, 2, {"data": {"batch_size": 50}, "parallel": {"shards": 5}}),
        ("openmpi", 4, 1, {"train": {"accumulate": 3}}),
        ("mpich", 2, 1, {"augment": {"flip": True, "crop": 2}}),
    ],
)
def test_the_middle_of_an_epoch_goes_on_with_the_very_samples_on_another_number_of_ranks(
    launcher: str, first: int, then: int, sections: dict[str, Any], tmp_path: Path
) -> None:
    if launcher == "openmpi" and launchers()[1].marks[0].args[0]:  # type: ignore[attr-defined]
        pytest.skip(launchers()[1].marks[0].kwargs["reason"])  # type: ignore[attr-defined]
    sections = sections | {"train": {"dtype": "float64"} | sections.get("train", {})}
    run = write(tmp_path, **sections, checkpoint={"every_steps": 5, "keep": 99})
    whole = finished(first, run, tmp_path / "whole", launcher=launcher)
    middle = tmp_path / "whole" / "checkpoints" / "step-00000005.h5"
    assert checkpoint.load(middle).progress["window"] == 5
    end = finished(then, run, tmp_path / "rest", "--resume", middle, launcher=launcher)
    assert progress(end) == progress(whole)
    assert distance(end.parameters, whole.parameters) < 1e-12
    expected = {step: loss for step, loss in losses(tmp_path / "whole").items() if step > 5}
    found = losses(tmp_path / "rest")
    assert found.keys() == expected.keys()
    np.testing.assert_allclose(list(found.values()), list(expected.values()), rtol=1e-12)


@pytest.mark.parametrize(
    ("first", "then", "sections"),
    [
        (1, 3, {}),
        (4, 1, {"train": {"accumulate": 2}}),
        (3, 2, {"model": {"hidden": [6, 4], "dropout": 0.2}, "parallel": {"shards": 4}}),
        (2, 3, {"model": {"cell": "gru"}, "parallel": {"shards": 5}}),
    ],
)
def test_streams_of_text_go_on_with_their_states_on_another_number_of_ranks(
    first: int, then: int, sections: dict[str, Any], tmp_path: Path
) -> None:
    data = {"path": str(babble(tmp_path / "text.h5", 600)), "batch_size": 7, "streams": True}  # 96 + 3 sequences
    sections = {"model": {}, "train": {}} | sections | {"data": data, "checkpoint": {"every_steps": 5, "keep": 99}}
    sections["model"] = {"kind": "char-lstm", "embedding": 3, "hidden": [6]} | sections["model"]
    sections["train"] = {"dtype": "float64", "epochs": 2} | sections["train"]
    run = write(tmp_path, **sections)
    whole = finished(first, run, tmp_path / "whole")
    middle = tmp_path / "whole" / "checkpoints" / "step-00000005.h5"
    state = checkpoint.load(middle).state
    assert all(array.shape[0] == 7 and np.all(np.any(array != 0, axis=1)) for array in state.values())
    assert len(state) == {"gru": 1}.get(sections["model"].get("cell", ""), 2 * len(sections["model"]["hidden"]))
    assert whole.state == {}, "an epoch begins from zeros"
    end = finished(then, run, tmp_path / "rest", "--resume", middle)
    assert progress(end) == progress(whole)
    assert distance(end.parameters, whole.parameters) < 1e-12
    expected = {step: loss for step, loss in losses(tmp_path / "whole").items() if step > 5}
    found = losses(tmp_path / "rest")
    assert found.keys() == expected.keys()
    np.testing.assert_allclose(list(found.values()), list(expected.values()), rtol=1e-12)
    refused = train(1, run, tmp_path / "other", "--resume", middle, "--set", "data.streams=false")
    assert refused.returncode == 2, refused
    assert "was made with order = streams and stands in the middle of an epoch" in refused.stderr


def test_minutes_are_rank_0s_and_every_rank_hands_in_its_states(tmp_path: Path) -> None:
    data = {"path": str(babble(tmp_path / "text.h5", 600)), "batch_size": 7, "streams": True}
    model = {"kind": "char-lstm", "embedding": 3, "hidden": [6]}
    often = {"every_minutes": 1e-9, "every_epochs": 0, "keep": 99}
    run = write(tmp_path, model=model, data=data, train={"epochs": 20}, checkpoint=often)
    finished(3, run, tmp_path / "run")
    found = [checkpoint.load(path) for path in (tmp_path / "run" / "checkpoints").glob("step-*.h5")]
    states = [saved.state for saved in found if saved.progress["window"]]
    assert len(states) > 5, "most of the steps, but those that come while a checkpoint is being written"
    assert all(state.keys() == states[0].keys() for state in states)
    assert all(np.all(np.any(array != 0, axis=1)) for state in states for array in state.values())


# Stopped in order


def stopped_early(result: Result, out: Path) -> int:
    """Checks how a run ended that has more to do; the epoch that it stopped in."""
    assert result.returncode == 75, result
    assert "Traceback" not in result.stderr, result
    assert "distnn: error" not in result.stderr, result
    end = metrics(out, "end")[-1]
    assert end["complete"] is False
    assert end["step"] == saved(out).progress["step"] == newest(out)
    return int(saved(out).progress["epoch"])


def goes_on_to_the_same_end(n: int, epoch: int, run: Path, out: Path) -> None:
    """An epoch more, beside a run that was never stopped."""
    epochs = ("--set", f"train.epochs={epoch + 1}")
    whole = finished(2, run, out.parent / "whole", *epochs)
    end = finished(n, run, out, "--resume", out, *epochs)
    assert progress(end) == progress(whole)
    assert distance(end.parameters, whole.parameters) < 1e-12


@pytest.mark.parametrize("launcher", launchers())
def test_a_signal_to_one_rank_stops_all_with_a_checkpoint(launcher: str, tmp_path: Path) -> None:
    number, told = {"mpich": (signal.SIGTERM, 1), "openmpi": (signal.SIGUSR1, 0)}[launcher]
    run, out = write(tmp_path, train={"epochs": 10**6, "dtype": "float64"}, checkpoint={}), tmp_path / "run"
    with Launch(2, command(run, out), launcher=launcher) as launch:
        deadline = time.monotonic() + LIMIT
        while len(metrics(out, "evaluation")) < 4:
            assert launch.process.poll() is None, launch.output()
            assert time.monotonic() < deadline
            time.sleep(0.01)
        os.kill(launch.ranks()[told], number)
        result = launch.wait(LIMIT)
    epoch = stopped_early(result, out)
    reason = metrics(out, "end")[-1]["reason"]
    assert reason == (f"stopped by {number.name}" if told == 0 else "stopped by a signal to another rank")
    goes_on_to_the_same_end(1, epoch, run, out)


def test_max_time_stops_with_a_checkpoint(tmp_path: Path) -> None:
    run, out = write(tmp_path, train={"epochs": 10**6, "dtype": "float64"}, checkpoint={}), tmp_path / "run"
    result = train(3, run, out, "--max-time", "00:00:01")
    epoch = stopped_early(result, out)
    assert metrics(out, "end")[-1]["reason"] == "stopped after --max-time (1 s)"
    goes_on_to_the_same_end(1, epoch, run, out)


# Damaged, or of another run


@pytest.fixture(scope="module")
def two_epochs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run file and a run of two epochs, with its checkpoints: the newest, and one before it."""
    folder = tmp_path_factory.mktemp("two-epochs")
    finished(1, write(folder, checkpoint={"every_steps": 5, "keep": 99}), folder / "run")
    return folder


@pytest.fixture
def copy(two_epochs: Path, tmp_path: Path) -> Path:
    """A copy of it to be spoiled."""
    return Path(shutil.copytree(two_epochs, tmp_path / "copy", symlinks=True))


def damage(path: Path) -> None:
    """Flip one bit of a weight."""
    content = bytearray(path.read_bytes())
    weight = checkpoint.load(path).parameters["dense1.weight"].tobytes()
    content[content.index(weight) + 100] ^= 1
    path.write_bytes(content)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:1000])


@pytest.mark.parametrize(
    ("spoil", "resume"), [(damage, "auto"), (damage, "folder"), (cut, "folder"), (Path.unlink, "auto")]
)
def test_a_spoiled_checkpoint_is_passed_over_for_the_one_before_it(spoil: Any, resume: str, copy: Path) -> None:
    out = copy / "run"
    before = saved(out)
    spoil(out / "checkpoints" / "step-00000042.h5")
    result = train(2, copy / "run.toml", out, "--resume", "auto" if resume == "auto" else out)
    assert result.returncode == 0, result
    assert metrics(out, "start")[-1]["start_step"] == 40
    warnings = [record["text"] for record in metrics(out, "warning")]
    if spoil is not Path.unlink:
        assert len(warnings) == 1
        assert warnings[0].startswith("passing over step-00000042.h5 for the checkpoint before it: ")
        shown = re.sub(r"\s+", " ", result.stdout + result.stderr)
        assert shown.count("passing over step-00000042.h5") == 1, "told once, by rank 0"
    assert distance(saved(out).parameters, before.parameters) < 1e-5


def refused(n: int, copy: Path, *more: str) -> str:
    """The message with which resuming is refused; nothing in the folder changes by it."""
    before = snapshot(copy)
    result = train(n, copy / "run.toml", copy / "run", *more)
    assert result.returncode == 2, result
    assert "Traceback" not in result.stderr, result
    texts = [line for line in result.stderr.splitlines() if line.startswith("distnn: error")]
    assert len(texts) == 1, result
    assert snapshot(copy) == before
    return texts[0]


MIDDLE = "checkpoints/step-00000030.h5"


@pytest.mark.parametrize("n", [1, 2])
def test_another_seed_is_refused(n: int, copy: Path) -> None:
    text = refused(n, copy, "--resume", str(copy / "run"), "--set", "train.seed=1")
    assert "step-00000042.h5 was made with seed = 0, but the run now has seed = 1: the order of the samples" in text


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("data.batch_size=32", "was made with batch_size = 64 and stands in the middle of an epoch, but the run now"),
        ("data.batch_size=full", "the run now has batch_size = 1297"),
        ("train.accumulate=2", "was made with accumulate = 1 and stands in the middle of an epoch, but the run now"),
    ],
)
def test_another_batch_in_the_middle_of_an_epoch_is_refused(setting: str, words: str, copy: Path) -> None:
    assert words in refused(1, copy, "--resume", str(copy / "run" / MIDDLE), "--set", setting)


def test_another_batch_at_the_end_of_an_epoch_is_fine(copy: Path) -> None:
    more = ("--resume", str(copy / "run"), "--set", "data.batch_size=32", "--set", "train.epochs=3")
    end = finished(1, copy / "run.toml", copy / "run", *more)
    assert end.progress["step"] == 2 * STEPS + 41


@pytest.mark.parametrize("n", [1, 2])
def test_another_model_is_refused_with_names_and_shapes(n: int, copy: Path) -> None:
    text = refused(n, copy, "--resume", "auto", "--set", "model.hidden=[12, 8]")
    for words in (
        "step-00000042.h5: the checkpoint's parameters don't fit this model: missing: dense3.weight, dense3.bias",
        "dense1.weight (expected (64, 12), found (64, 16))",
        "dense2.weight (expected (12, 8), found (16, 10))",
    ):
        assert words in text


def test_an_older_checkpoint_may_be_chosen(copy: Path) -> None:
    whole = saved(copy / "run")
    end = finished(1, copy / "run.toml", copy / "again", "--resume", copy / "run" / MIDDLE)
    assert metrics(copy / "again", "start")[0]["start_step"] == 30
    assert checkpoint.digest(end) == checkpoint.digest(whole)


def test_auto_begins_where_there_is_nothing_yet(tmp_path: Path) -> None:
    run = write(tmp_path)
    finished(1, run, tmp_path / "run", "--resume", "auto")
    assert metrics(tmp_path / "run", "resume") == []
    finished(2, run, tmp_path / "run", "--resume", "auto", "--set", "train.epochs=3")
    assert [record["step"] for record in metrics(tmp_path / "run", "resume")] == [2 * STEPS]
