"""`distnn inspect`: what it tells of checkpoints, data files and others, for people and as JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from click.testing import CliRunner

from distnn.checkpoint import digest, outline, save
from distnn.cli.main import distnn as program
from distnn.data import write_data
from distnn.errors import CheckpointError
from tests.support.checkpoints import DATA, MODEL, SETTINGS, example
from tests.support.files import bare
from tests.support.runs import distnn


def test_data_of_other_programs(tmp_path: Path) -> None:
    """Splits by other names, and what isn't used, are told; datasets behind links are shown."""
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file.attrs.update({"task": "classification", "classes": ["a", "b"]})
        file["d/x"], file["d/y"], file["more"] = np.zeros((6, 2)), np.arange(6) % 2, np.zeros(3)
        file["train"], file["val"] = h5py.SoftLink("/d"), h5py.SoftLink("/d")
    text = shown(path)
    assert row(text, "validation", "6", "x", "6×2", "float64", "contiguous")
    assert text.splitlines()[-2:] == ["val is taken for validation", "not used: more"]
    assert facts(path)["remarks"] == ["val is taken for validation", "not used: more"]


def test_a_file_that_could_be_data(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file["images"], file["labels"] = np.zeros((6, 2)), np.arange(6) % 2
    assert '[data] x = "images", y = "labels", task = "classification", classes = 2' in shown(path)
    with h5py.File(path, "r+") as file:
        file.move("images", "train/images")
        file.move("labels", "train/labels")
    result = CliRunner().invoke(program, ["inspect", str(path)])
    assert '[data] x = "{split}/images", y = "{split}/labels"' in str(result.exception)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run directory with one checkpoint, at step 3."""
    save(tmp_path / "run" / "checkpoints", example(3, best=0.96), keep=3, best=True)
    return tmp_path / "run"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data file of images with two splits."""
    x = np.arange(10 * 64, dtype=np.uint16).reshape(10, 8, 8)
    y = np.arange(10, dtype=np.uint8) % 2
    splits = {"train": (x, y), "test": (x[:4], y[:4])}
    about = {"source": "a shelter", "licence": "CC0"}
    return write_data(
        tmp_path / "data.h5", splits, task="classification", classes=("cat", "[dog]"), scale=1 / 65535, **about
    )


def shown(path: Path) -> str:
    result = CliRunner().invoke(program, ["inspect", str(path)])
    assert result.exception is None, result.output
    return result.output


def facts(path: Path) -> Any:
    result = CliRunner().invoke(program, ["inspect", str(path), "--json"])
    assert result.exception is None, result.output
    return json.loads(result.output, parse_constant=lambda word: pytest.fail(f"{word} isn't JSON"))


def row(text: str, *words: str) -> bool:
    """Whether one line holds all the words, in order."""
    wanted = list(words)
    for line in text.splitlines():
        rest = iter(line.replace(" × ", "×").split())
        if all(word in rest for word in wanted):
            return True
    return False


@pytest.mark.parametrize("name", [".", "checkpoints", "checkpoints/latest", "checkpoints/step-00000003.h5"])
def test_checkpoint(run: Path, name: str) -> None:
    text = shown(run / name)
    assert "step-00000003.h5: checkpoint, " in text
    assert "checksum ok" in text
    assert "step 3, epoch 1  (batch = 2, seed = 0, best = 0.96)" in text
    assert "model: 64-2; 16 parameters" in text
    assert 'input_shape = [8, 8], task = classification, classes = ["a", "b"]' in text
    assert "trained on /data/letters.h5:" in text
    assert "  train: 90 samples with the hash 0123456789abcdef" in text
    assert "  x: 8 × 8 uint8\n" in text
    assert "[model] kind = mlp, hidden = [64, 32]" in text
    assert "[train] epochs = 30, seed = 0" in text
    assert row(text, "dense1.weight", "4×3", "float32", "12", "8.5", "3.452", "3", "14")
    assert row(text, "scale", "scalar", "float32", "1", "0.5", "0", "0.5", "0.5")
    assert row(text, "none", "0×3", "float64", "0")
    assert "not finite" not in text
    assert "optimizer state: count (1), velocity (15)" in text
    assert "environment: distnn = 0.1.0, cpu = AMD EPYC 7742, ranks = 2" in text
    assert digest(example()) in text


def test_checkpoint_as_json(run: Path) -> None:
    found = facts(run)
    path = run / "checkpoints" / "step-00000003.h5"
    assert (found["kind"], found["path"], found["bytes"]) == ("checkpoint", str(path), path.stat().st_size)
    assert (found["checksum"], found["digest"]) == ("ok", digest(example()))
    assert found["progress"] == {"step": 3, "epoch": 1, "batch": 2, "seed": 0, "best": 0.96}
    assert (found["model"], found["settings"], found["count"]) == (MODEL, SETTINGS, 16)
    assert found["data"] == DATA
    assert found["optimizer"] == {"velocity": 15, "count": 1}
    weight = next(entry for entry in found["parameters"] if entry["name"] == "dense1.weight")
    expected = np.arange(12) + 3
    statistics = {"mean": 8.5, "std": pytest.approx(expected.std()), "min": 3, "max": 14}
    assert weight == {"name": "dense1.weight", "shape": [4, 3], "dtype": "float32", "count": 12, **statistics}


def test_diverged_checkpoint(tmp_path: Path) -> None:
    checkpoint = example(5, best=float("-inf"))
    checkpoint.parameters["dense1.bias"][1] = np.nan
    path = save(tmp_path, checkpoint, keep=1, best=False)
    assert row(shown(path), "dense1.bias", "3", "float64", "3", "not", "finite", "not", "finite")
    found = facts(path)
    assert found["progress"]["best"] is None
    assert next(entry for entry in found["parameters"] if entry["name"] == "dense1.bias")["max"] is None


def test_long_names_are_not_cut(tmp_path: Path) -> None:
    checkpoint = example()
    name = ".".join(f"residual[{i}]" for i in range(20))
    checkpoint.parameters[name] = np.zeros(1)
    text = shown(save(tmp_path, checkpoint, keep=1, best=False))
    column = "".join(line[2:].split("  ")[0] for line in text.splitlines() if line.startswith("  residual"))
    assert "residual[0].residual[1]" in column
    assert max(len(line) for line in text.splitlines() if line.startswith("  ")) <= 80
    assert "…" not in text


def test_data_file(data: Path) -> None:
    text = shown(data)
    assert f"{data}: data file, " in text
    assert "classification" in text
    assert "2 classes: cat, [dog]" in text
    assert "source: a shelter" in text
    assert "licence: CC0" in text
    assert "x is multiplied by 1.5259e-05 when it is read" in text
    assert row(text, "train", "10", "x", "10×8×8", "uint16", "10×8×8", "none", "1.3", "KB")
    assert row(text, "test", "4", "y", "4", "uint8", "4", "none", "8", "B")


def test_data_file_as_json(data: Path) -> None:
    found = facts(data)
    assert (found["kind"], found["task"], found["classes"]) == ("data", "classification", ["cat", "[dog]"])
    assert (found["source"], found["licence"]) == ("a shelter", "CC0")
    assert found["created_by"].startswith("distnn ")
    assert list(found["splits"]) == ["train", "test"]
    test = {
        "shape": [4, 8, 8],
        "dtype": "uint16",
        "chunks": [4, 8, 8],
        "compression": None,
        "stored": 516,
    }  # 4 are the checksum
    assert found["splits"]["test"]["samples"] == 4
    assert found["splits"]["test"]["x"] == test


def test_a_data_file_is_verified(data: Path) -> None:
    result = CliRunner().invoke(program, ["inspect", "--verify", str(data)])
    assert "verified: all of 4 datasets can be read; the checksums of 4 are right; the fingerprint is right" in (
        result.output
    )
    with h5py.File(data, "r") as file:
        expected = {"datasets": 4, "checksums": 4, "fingerprint": file.attrs["fingerprint"]}
        place = file["test/x"].id.get_chunk_info(0).byte_offset
    assert facts(data)["fingerprint"] == expected["fingerprint"]
    assert json.loads(distnn("inspect", "--verify", "--json", data).stdout)["verified"] == expected
    content = bytearray(data.read_bytes())
    content[place] ^= 1
    data.write_bytes(content)
    assert "data file" in shown(data)
    done = distnn("inspect", "--verify", data)
    assert done.returncode == 2
    assert "data.h5 is damaged: samples 0..4 of test/x can't be read, or don't fit their checksum" in done.stderr


def test_a_data_file_of_another_writer_is_read_all_the_same(tmp_path: Path) -> None:
    text = distnn("inspect", "--verify", bare(tmp_path / "a.h5", train__x=np.ones((5, 3)), train__y=np.ones(5, int)))
    assert "verified: all of 2 datasets can be read; there are no checksums; there is no fingerprint" in text.stdout


def test_packed_data_file_of_another_writer(tmp_path: Path) -> None:
    path = tmp_path / "packed.h5"
    with h5py.File(path, "w") as file:
        file.attrs["task"] = "regression"
        file.create_dataset("train/x", data=np.zeros((100, 3)), chunks=(50, 3), compression="gzip")
        file.create_dataset("train/y", data=np.zeros((100, 2)))
    text = shown(path)
    assert row(text, "train", "100", "x", "100×3", "float64", "50×3", "gzip")
    assert row(text, "train", "100", "y", "100×2", "float64", "contiguous", "none", "1.6", "KB")


def test_neither(tmp_path: Path) -> None:
    path = tmp_path / "mesh.h5"
    with h5py.File(path, "w") as file:
        file["mesh/points"] = np.zeros((5, 3))
        file["time"] = 0.5
        file.attrs["code"] = "another"
    text = shown(path)
    assert "that is neither a distnn checkpoint nor a data file" in text
    assert "at its top level: mesh/, time; 2 datasets in all" in text
    assert "root attributes: code = another" in text
    assert facts(path)["kind"] == "other"


def test_damaged_checkpoint_ends_with_2(run: Path) -> None:
    path = run / "checkpoints" / "step-00000003.h5"
    with h5py.File(path, "r+") as file:
        file["parameters/dense1.bias"][0] += 1
    result = distnn("inspect", run)
    assert result.returncode == 2
    assert result.stdout == ""
    assert result.stderr.count("\n") == 1
    assert f"distnn: error: {path}: the checkpoint is damaged or incomplete: its content has the" in result.stderr


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "there is no such HDF5 file. Check the path"),
        (b"", "it is empty"),
        (b"x,y\n1,2\n", "it is not an HDF5 file"),
        (b"\x89HDF\r\n\x1a\n" + bytes(100), "damaged or incomplete: HDF5 can't open it"),
    ],
)
def test_not_hdf5(tmp_path: Path, content: bytes | None, words: str) -> None:
    path = tmp_path / "x.h5"
    if content is not None:
        path.write_bytes(content)
    result = CliRunner().invoke(program, ["inspect", str(path)])
    assert isinstance(result.exception, CheckpointError)
    assert result.exception.exit_code == 2
    assert words in str(result.exception)


def test_folder_without_checkpoints(tmp_path: Path) -> None:
    result = CliRunner().invoke(program, ["inspect", str(tmp_path)])
    assert isinstance(result.exception, CheckpointError)
    assert "there is no checkpoint here. Looked for 'latest'" in str(result.exception)


def test_help_has_an_example() -> None:
    assert "distnn inspect runs/digits/checkpoints/latest --json" in distnn("inspect", "--help").stdout


def test_types_that_numpy_lacks(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "times.h5", "w") as file:
        times = h5py.h5s.create_simple((3,))
        h5py.h5d.create(file.id, b"stamp", h5py.h5t.UNIX_D32LE, times)
        h5py.h5a.create(file.id, b"when", h5py.h5t.UNIX_D32LE, times)
    found = outline(tmp_path / "times.h5")
    assert [(each.name, each.shape, each.dtype) for each in found.datasets] == [("stamp", (3,), "time")]
    assert "when = of a type that numpy lacks" in shown(tmp_path / "times.h5")


def test_a_run_files_data_cut_into_splits(tmp_path: Path) -> None:
    y = np.repeat([0, 1], [80, 20])
    path = write_data(
        tmp_path / "d.h5", {"train": (np.zeros((100, 8, 8)), y)}, task="classification", classes=["a", "b"]
    )
    run = tmp_path / "run.toml"
    text = f'model.kind = "mlp"\n[data]\npath = "{path}"\nbatch_size = 9\n'
    run.write_text(text + "[data.split]\nvalidation = 0.1\ntest = 30\nstratify = true\n")
    text = shown(run)
    assert f"{run}: a run file for classification on {path}" in text
    assert row(text, "train", "60", "x", "8×8", "float64", "48,", "12") and row(text, "train", "60", "y", "scalar")
    assert row(text, "validation", "10", "x", "8×8", "float64", "8,", "2")
    assert row(text, "test", "30", "x", "8×8", "float64", "24,", "6")
    found = facts(run)
    assert found["kind"] == "run" and {split: each["samples"] for split, each in found["splits"].items()} == {
        "train": 60,
        "validation": 10,
        "test": 30,
    }
    run.write_text(run.read_text().replace("test = 30", "test = 95"))
    result = CliRunner().invoke(program, ["inspect", str(run)])
    assert str(result.exception).startswith(
        f"{run}, line 5: {path}: [data.split] with validation = 0.1 and test = 95 le"
    )
