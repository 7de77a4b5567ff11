"""``distnn sample``, and the other commands on a language model, through the real command line."""

from __future__ import annotations

import itertools
import json
import math
import subprocess
import sys
from pathlib import Path

import h5py
import pytest

from tests.support.launch import environment
from tests.support.runs import DIGITS, babble, distnn, metrics, run_file
from tests.support.warm import warm

MODEL = {"kind": "char-lstm", "embedding": 4, "hidden": [12]}
ADAM = {"kind": "adam", "learning_rate": 0.02}


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    """A folder with a finished run of a language model, and its data."""
    folder = tmp_path_factory.mktemp("language")
    data = {"path": str(babble(folder / "text.h5", 2000)), "batch_size": 16, "streams": True}
    run = run_file(folder / "run.toml", model=MODEL, data=data, optimizer=ADAM, train={"epochs": 3})
    done = distnn("train", run, "--out", folder / "run")
    assert done.returncode == 0, done.stderr
    assert " bits " in done.stdout
    return folder


def test_losses_are_per_character_and_in_bits(trained):
    records = metrics(trained / "run", "evaluation")
    assert {record["split"] for record in records} == {"train", "validation", "test"}
    for record in records:
        assert record["bits"] == pytest.approx(record["loss"] / math.log(2))
        assert 1 < record["bits"] < math.log2(7)
        assert 0 < record["accuracy"] < 1
    assert [record["samples"] for record in records if record["split"] == "test"] == [19]


def test_evaluate(trained):
    done = distnn("evaluate", trained / "run", trained / "text.h5", "--json")
    found = json.loads(done.stdout)
    end = metrics(trained / "run", "evaluation")[-1]
    scores = ("loss", "samples", "accuracy", "bits")
    assert {name: found[name] for name in scores} == {name: pytest.approx(end[name]) for name in scores}
    assert "bits per character, accuracy" in distnn("evaluate", trained / "run", trained / "text.h5").stdout


def test_predict(trained, tmp_path):
    done = distnn("predict", trained / "run", trained / "text.h5", "-o", tmp_path / "p.h5")
    assert done.returncode == 0, done.stderr
    with h5py.File(tmp_path / "p.h5") as file:
        assert file["probabilities"].shape == (19, 5, 7)
        assert file["y_pred"].shape == (19, 5)
        assert (file["y_pred"][:] == file["probabilities"][:].argmax(axis=2)).all()


def test_prompt_and_text_are_all_that_is_printed(trained):
    done = distnn("sample", trained / "run", "--prompt", "abc", "--length", "50")
    assert done.returncode == 0
    assert done.stderr.startswith(f"checkpoint {trained}/run/checkpoints/step-") and done.stderr.count("\n") == 1
    assert len(done.stdout) == 3 + 50 + 1
    assert done.stdout.startswith("abc") and set(done.stdout[:-1]) <= set("abcdefg")
    again = [distnn("sample", trained / "run", "--prompt", "abc", "--length", "50", "--seed", seed) for seed in "01"]
    assert again[0].stdout == done.stdout != again[1].stdout
    greedy = distnn("sample", trained / "run", "--prompt", "abc", "--length", "20", "--temperature", "0").stdout.strip()
    assert all((ord(b) - ord(a)) % 7 == 1 for a, b in itertools.pairwise(greedy)), greedy
    assert distnn("sample", trained / "run", "--prompt", "abc", "--length", "0").stdout == "abc\n"


def test_one_text_under_mpiexec(trained):
    done = warm(2, ["sample", trained / "run", "--prompt", "abc", "--length", "9"])
    assert done.returncode == 0, done
    assert len(done.stdout) == 13


def test_a_reader_that_has_had_enough(trained):
    command = [sys.executable, "-m", "distnn", "sample", trained / "run", "--prompt", "abc", "--length", "9999999"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment("none"), text=True
    ) as process:
        assert process.stdout is not None and process.stderr is not None
        assert process.stdout.read(20).startswith("abc")
        process.stdout.close()
        assert process.stderr.read().count("\n") == 1  # which checkpoint it is
        assert process.wait(30) == 0


def refused(*arguments: str | Path) -> str:
    done = distnn(*arguments)
    assert done.returncode == 2, done
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    return done.stderr


def test_what_cannot_be_sampled(trained, tmp_path):
    run = trained / "run"
    text = refused("sample", run, "--prompt", "abXd")
    assert "the prompt's character 3 is 'X'" in text and "it has a b c d e f g." in text
    assert "a prompt of at least one token" in refused("sample", run, "--prompt", "")
    assert "--temperature" in refused("sample", run, "--prompt", "a", "--temperature", "-1")
    assert "no such checkpoint" in refused("sample", tmp_path / "none.h5", "--prompt", "a")
    classifier = run_file(tmp_path / "run.toml", train={"epochs": 1})
    assert distnn("train", classifier, "--out", tmp_path / "digits").returncode == 0
    text = refused("sample", tmp_path / "digits", "--prompt", "a")
    assert "was trained for classification; only a language model writes text" in text


def test_other_data_than_it_was_trained_on(trained, tmp_path):
    run = trained / "run"
    longer = babble(tmp_path / "longer.h5", 2000, length=8)
    assert "samples of shape (8,), but the model" in refused("evaluate", run, longer)
    (tmp_path / "other.txt").write_text("hijklmn" * 200)
    assert distnn("data", "text", tmp_path / "other.txt", "--length", "5", "-o", tmp_path / "o.h5").returncode == 0
    assert "has other characters than the text" in refused("evaluate", run, tmp_path / "o.h5")


def test_runs_that_make_no_sense(trained, tmp_path):
    text = trained / "text.h5"
    cases = [
        ({"model": {"kind": "mlp"}, "data": {"path": str(text)}}, "is for regression or classification, but the data"),
        ({"model": MODEL, "data": {"path": str(DIGITS)}}, "is for language, but the data's task is classification"),
        ({"data": {"path": str(DIGITS), "streams": True}}, "data.streams = true is for recurrent language models"),
        (
            {"model": MODEL, "data": {"path": str(text), "streams": True, "batch_size": 999}},
            "only 359 training",
        ),
    ]
    for sections, words in cases:
        run = run_file(tmp_path / "run.toml", **sections)
        assert words in refused("train", run, "--out", tmp_path / "out")
        assert not (tmp_path / "out").exists()
    run = run_file(tmp_path / "run.toml", model=MODEL, data={"path": str(text)})
    for override, words in {
        "data.batch_size=full": "each stream is a single sequence; give a number of streams",
        "data.shuffle=true": "data.shuffle has no meaning with streams = true",
    }.items():
        assert words in refused("train", run, "--set", "data.streams=true", "--set", override)
