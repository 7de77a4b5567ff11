"""The checkpoint file: every bit comes back, no damage goes unseen, and each error says what to do."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Callable
from pathlib import Path

import h5py
import hypothesis.extra.numpy as arrays
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from distnn.checkpoint import Checkpoint, kind_of, load, outline, save
from distnn.errors import CheckpointError
from tests.support.checkpoints import checksum, example, resealed, same

NAMES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="/\0"), min_size=1).filter(".".__ne__)
ARRAYS = arrays.arrays(
    st.sampled_from(["<f4", "<f8", "<f2", "<i8", "|u1", "|b1", ">f4", "<c8"]).map(np.dtype),
    arrays.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4),
)
BY_NAME = st.dictionaries(NAMES, ARRAYS, max_size=5)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A good checkpoint file."""
    return save(tmp_path, example(), keep=3, best=False)


def refusal(path: Path) -> str:
    """What `load` says; one paragraph that begins with the path."""
    with pytest.raises(CheckpointError) as caught:
        load(path)
    text = str(caught.value)
    assert text.startswith(f"{path}: ")
    assert "\n" not in text
    return text


def changed(path: Path, change: Callable[[h5py.File], None]) -> Path:
    """The file after a change through HDF5, as another program could make it."""
    with h5py.File(path, "r+") as file:
        change(file)
    return path


# --- what goes in comes out


def test_round_trip(path: Path) -> None:
    assert path.name == "step-00000003.h5"
    assert same(load(path), example())


@given(parameters=BY_NAME, optimizer=st.dictionaries(NAMES, BY_NAME, max_size=3))
def test_round_trip_of_any_names_dtypes_and_shapes(
    parameters: dict[str, np.ndarray], optimizer: dict[str, dict[str, np.ndarray]]
) -> None:
    checkpoint = Checkpoint(parameters, optimizer, {"step": 0})
    with tempfile.TemporaryDirectory() as folder:
        assert same(load(save(Path(folder), checkpoint, keep=1, best=False)), checkpoint)


def test_many_names_and_views_that_are_not_contiguous(tmp_path: Path) -> None:
    vector = np.arange(4000, dtype=np.float32)
    checkpoint = Checkpoint({f"layer{i}.weight": vector[i::400] for i in range(400)}, {}, {"step": 1})
    checkpoint.parameters["transposed"] = vector.reshape(40, 100).T
    assert same(load(save(tmp_path, checkpoint, keep=1, best=False)), checkpoint)


def test_documents_take_numpy_numbers_non_finite_ones_and_long_texts(tmp_path: Path) -> None:
    checkpoint = example(loss=float("inf"))
    checkpoint.progress |= {"best": np.float64(0.5), "step": np.int64(9)}  # type: ignore[dict-item]
    checkpoint.model = {"classes": [f"Klasse {i} · ß" for i in range(20000)], "shape": np.array([8, 8])}
    found = load(save(tmp_path, checkpoint, keep=1, best=False))
    assert found.progress == {"step": 9, "epoch": 1, "batch": 2, "seed": 0, "loss": float("inf"), "best": 0.5}
    assert found.model == {"classes": checkpoint.model["classes"], "shape": [8, 8]}


def test_loaded_arrays_can_be_written_to(path: Path) -> None:
    found = load(path)
    found.parameters["dense1.weight"] += 1


def test_layout_is_as_documented(path: Path) -> None:
    """Recomputes the checksum from the documentation alone."""
    with h5py.File(path) as file:
        for name in ("parameters/dense1.weight", "optimizer/velocity/dense1.bias", "optimizer/count/t"):
            assert file[name].chunks is None
        assert file.attrs["format"] == b"distnn-checkpoint"
        assert file.attrs["version"] == 2
        assert file.attrs["sha256"] == checksum(file).encode()


# --- damage


def test_no_flipped_byte_goes_unseen(path: Path) -> None:
    """Each damaged file is refused, or the byte meant nothing and the content is the same."""
    chance = random.Random(0)
    good = path.read_bytes()
    refused = 0
    for offset in sorted(chance.sample(range(len(good)), 600)):
        bad = bytearray(good)
        bad[offset] ^= chance.randrange(1, 256)
        path.write_bytes(bad)
        try:
            found = load(path)
        except CheckpointError:
            refused += 1
        else:
            assert same(found, example()), f"byte {offset} changed the content unseen"
    assert refused > 300


def test_every_flipped_bit_of_a_dataset_is_a_wrong_checksum(path: Path) -> None:
    with h5py.File(path) as file:
        offset = file["parameters/dense1.weight"].id.get_offset()
    good = path.read_bytes()
    for bit in range(8):
        bad = bytearray(good)
        bad[offset + bit] ^= 1 << bit
        path.write_bytes(bad)
        text = refusal(path)
        assert "damaged or incomplete: its content has the checksum" in text
        assert "resume from the run directory, which takes the newest good checkpoint" in text


@pytest.mark.parametrize("share", [0, 0.001, 0.01, 0.1, 0.3, 0.5, 0.7, 0.9, 0.99, 0.9999])
def test_truncated(path: Path, share: float) -> None:
    good = path.read_bytes()
    path.write_bytes(good[: int(len(good) * share)])
    text = refusal(path)
    assert "not an HDF5 file" in text or "damaged or incomplete: HDF5 can't open it" in text


def test_changed_through_hdf5(path: Path) -> None:
    text = refusal(changed(path, lambda file: file.attrs.modify("progress", np.bytes_(b'{"step": 4}'))))
    assert "was stored" in text


@pytest.mark.parametrize("rows", [4, 10**12])
def test_values_that_were_never_written(path: Path, rows: int) -> None:
    def declare(file: h5py.File) -> None:
        name = next(iter(file["parameters"]))
        del file["parameters"][name]
        file["parameters"].create_dataset(name, (rows, 3), "f4")

    assert "were never written" in refusal(changed(path, declare))


@pytest.mark.parametrize("gone", ["parameters", "optimizer", "parameters/dense1.bias"])
def test_part_removed_through_hdf5(path: Path, gone: str) -> None:
    assert "damaged or incomplete" in refusal(changed(path, lambda file: file.pop(gone)))


# --- what is no checkpoint


def test_missing(tmp_path: Path) -> None:
    text = refusal(tmp_path / "step-00000001.h5")
    assert "there is no such checkpoint. Check the path" in text


def test_folder(tmp_path: Path) -> None:
    assert "this is a folder, but one checkpoint is needed" in refusal(tmp_path)


def test_empty(tmp_path: Path) -> None:
    path = tmp_path / "x.h5"
    path.touch()
    assert "not an HDF5 file: it is empty" in refusal(path)


def test_another_kind_of_file(tmp_path: Path) -> None:
    path = tmp_path / "x.h5"
    path.write_text("[model]\nkind = 'mlp'\n")
    assert "not an HDF5 file: it doesn't begin as HDF5 files do" in refusal(path)


def test_another_hdf5_file(tmp_path: Path) -> None:
    path = tmp_path / "x.h5"
    with h5py.File(path, "w") as file:
        file["train/x"] = np.zeros(3)
    text = refusal(path)
    assert "root attribute 'format' should be 'distnn-checkpoint', but there is none" in text
    assert "distnn inspect" in text
    text = refusal(changed(path, lambda file: file.attrs.update({"format": "other"})))
    assert "but it is 'other'" in text


def test_newer_version(path: Path) -> None:
    text = refusal(changed(path, lambda file: file.attrs.modify("version", 3)))
    assert "a newer distnn wrote this checkpoint (format version 3; this distnn reads up to 2). Upgrade distnn" in text


# --- what a file is


def test_kind_and_outline(path: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.h5"
    with h5py.File(other, "w") as file:
        file["top"] = np.zeros((4, 2), np.int16)
        file.create_dataset("group/packed", data=np.zeros((100, 2)), chunks=(10, 2), compression="gzip")
        file.attrs["made_by"] = "someone"
    assert kind_of(path) == "checkpoint"
    assert kind_of(other) == "other"
    found = outline(other)
    assert (found.kind, found.top, found.attributes) == ("other", ("group/", "top"), {"made_by": "someone"})
    packed, top = found.datasets
    assert (packed.name, packed.shape, packed.dtype) == ("group/packed", (100, 2), "float64")
    assert (packed.chunks, packed.compression) == ((10, 2), "gzip")
    assert (top.name, top.chunks, top.compression, top.stored) == ("top", None, None, 16)
    assert kind_of(changed(other, lambda file: file.attrs.update({"task": "regression"}))) == "data"


def test_kind_of_what_is_no_hdf5_file(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"gone\.h5: there is no such HDF5 file\. Check the path"):
        kind_of(tmp_path / "gone.h5")
    with pytest.raises(CheckpointError, match=r"this is a folder, but one HDF5 file is needed"):
        outline(tmp_path)


# --- documents that JSON can hold, but that aren't those of a checkpoint

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)
WRONG = {
    "no object": ("model", []),
    "null": ("settings", None),
    "text": ("progress", "x"),
    "no step": ("progress", {}),
    "a step of text": ("progress", {"step": "x"}),
    "a step below 0": ("progress", {"step": -1}),
    "a step beyond 64 bits": ("progress", {"step": 2**63}),
    "true for a step": ("progress", {"step": True}),
    "sums of text": ("progress", {"step": 1, "sums": {"loss": "x"}}),
    "a shape below 0": ("model", {"input_shape": [-8, 8]}),
    "a shape that is none": ("model", {"input_shape": 8}),
    "classes that are numbers": ("model", {"classes": [1, 2]}),
    "a task that is a list": ("model", {"task": []}),
    "a section that is none": ("settings", {"model": "mlp"}),
    "data that are a list": ("data", [1]),
    "a count below 0": ("data", {"counts": {"train": -1}}),
    "fields that are none": ("data", {"fields": {"x": [8, 8]}}),
    "names that are none": ("data", {"fields": {"x": {"shape": [2], "names": [1, 2]}}}),
    "a hash that is none": ("data", {"identity": {"train": 5}}),
}


@pytest.mark.parametrize("case", WRONG)
def test_documents_of_other_types(case: str, path: Path) -> None:
    name, document = WRONG[case]
    text = refusal(resealed(path, name, document))
    assert f"the checkpoint is damaged or incomplete: its document '{name}' " in text


@given(name=st.sampled_from(["progress", "model", "settings", "environment", "data"]), document=JSON, data=st.data())
def test_documents_of_any_types_are_read_or_refused(name: str, document: object, data: st.DataObject) -> None:
    whole = getattr(example(), name)
    if data.draw(st.booleans()):
        document = whole | {data.draw(st.sampled_from([*whole, "sums", "target_shape", "loss", "counts"])): document}
    with tempfile.TemporaryDirectory() as folder:
        path = resealed(save(Path(folder), example(), keep=1, best=False), name, document)
        try:
            found = load(path)
        except CheckpointError:
            return
        assert isinstance(found.progress["step"], int)
        assert all(isinstance(section, dict) for section in found.settings.values())
        assert isinstance(found.environment, dict)
        assert all(isinstance(length, int) and length > 0 for length in found.model.get("input_shape") or ())
