"""Random changes of images: each is one of those allowed, all occur alike, and only seed, epoch and sample decide."""

from __future__ import annotations

import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from distnn.data.augment import Augmentation
from distnn.data.loader import Loader
from distnn.data.order import Whole
from distnn.data.partition import Range
from distnn.errors import RunFileError
from tests.support.runs import alone, assembled, blobs, distnn, run_file


def changes(image: np.ndarray, *, flip: bool, shift: int = 0, crop: int = 0) -> list[np.ndarray]:
    """Every image that may come of this one, by padding and cutting it."""
    reach = max(shift, crop)
    widths = [(reach, reach)] * 2 + [(0, 0)] * (image.ndim - 2)
    padded = np.pad(image, widths, mode="reflect" if crop else "constant")
    height, width = image.shape[:2]
    cut = [padded[i : i + height, j : j + width] for i in range(2 * reach + 1) for j in range(2 * reach + 1)]
    return cut + [np.flip(window, axis=1) for window in cut] * flip


def changed(augmentation: Augmentation, images: np.ndarray, index: Any = None) -> np.ndarray:
    """The images at ``index`` after their change, as one batch."""
    index = np.arange(len(images)) if index is None else np.asarray(index, np.intp)
    batch = np.ascontiguousarray(images[index])
    augmentation.apply(batch, index)
    return batch


def pictures(*shape: int, dtype: Any = np.float32) -> np.ndarray:
    """Images in which no two pixels are alike, nor 0."""
    return (1 + np.random.default_rng(0).permutation(int(np.prod(shape)))).reshape(shape).astype(dtype)


@st.composite
def options(draw: st.DrawFn) -> tuple[tuple[int, ...], dict[str, Any]]:
    """A shape of images, and changes that they allow."""
    shape = (draw(st.integers(1, 6)), draw(st.integers(1, 6)), *draw(st.sampled_from([(), (1,), (3,)])))
    reach = draw(st.integers(0, min(shape[:2]) - 1))
    return shape, {"flip": draw(st.booleans()), draw(st.sampled_from(["shift", "crop"])): reach}


@given(options(), st.integers(1, 9), st.integers(0, 2**63 - 1), st.sampled_from([np.float32, np.float64]))
def test_each_image_is_padded_cut_and_turned(given: Any, count: int, seed: int, dtype: type) -> None:
    shape, chosen = given
    images = pictures(count, *shape, dtype=dtype)
    augmentation = Augmentation(count, shape, **chosen)
    for epoch in range(3):
        augmentation.draw(seed, epoch)
        for image, found in zip(images, changed(augmentation, images), strict=True):
            assert any(np.array_equal(found, expected) for expected in changes(image, **chosen))


@pytest.mark.parametrize("chosen", [{"flip": True, "shift": 1}, {"flip": True, "crop": 2}, {"flip": False, "shift": 2}])
def test_all_changes_are_equally_likely(chosen: dict[str, Any]) -> None:
    image, samples = pictures(4, 3), 20_000
    augmentation = Augmentation(samples, image.shape, **chosen)
    augmentation.draw(3, 0)
    found, counts = np.unique(changed(augmentation, np.stack([image] * samples)), axis=0, return_counts=True)
    ways = changes(image, **chosen)
    expected, times = np.unique(ways, axis=0, return_counts=True)  # a mirrored image may come about in two ways
    np.testing.assert_array_equal(found, expected)
    mean = samples * times / len(ways)
    assert np.all(abs(counts - mean) < 5 * np.sqrt(mean))


def test_flips_alone_happen_to_half_of_the_images() -> None:
    images = pictures(10_000, 2, 3)
    augmentation = Augmentation(10_000, (2, 3), flip=True)
    augmentation.draw(0, 0)
    turned = np.all(changed(augmentation, images) == images[:, :, ::-1], axis=(1, 2))
    assert abs(turned.mean() - 0.5) < 0.02
    np.testing.assert_array_equal(changed(augmentation, images)[~turned], images[~turned])


@given(st.permutations(range(12)), st.lists(st.integers(1, 6), min_size=12))
def test_the_batch_does_not_matter(order: list[int], lengths: list[int]) -> None:
    """Whatever the rank, the batch and the place in it: which is how any number of ranks sees the same images."""
    images = pictures(12, 5, 4, 2)
    one, other = (Augmentation(12, (5, 4, 2), flip=True, shift=2) for _ in range(2))
    one.draw(5, 1)
    other.draw(5, 0)
    other.draw(5, 1)
    whole = changed(one, images)
    while order:
        piece, order = order[: lengths[0]], order[lengths[0] :]
        lengths = lengths[1:]
        np.testing.assert_array_equal(changed(other, images, piece), whole[piece])


def test_seeds_and_epochs_differ() -> None:
    images, augmentation = pictures(50, 4, 4), Augmentation(50, (4, 4), flip=True, crop=3)
    seen = set()
    for seed, epoch in np.ndindex(3, 3):
        augmentation.draw(seed, epoch)
        seen.add(changed(augmentation, images).tobytes())
    assert len(seen) == 9


def test_the_changes_are_part_of_the_format() -> None:
    """A run that is resumed in the middle of an epoch, perhaps years later, counts on it."""
    augmentation = Augmentation(8, (1, 9), flip=True)
    augmentation.draw(0, 0)
    row = np.arange(9.0).reshape(1, 1, 9).repeat(8, axis=0)
    assert changed(augmentation, row)[:, 0, 0].tolist() == [0, 8, 0, 8, 0, 0, 8, 0]
    wide = Augmentation(8, (9, 9), flip=False, crop=4)
    wide.draw(7, 3)
    image = np.arange(81.0).reshape(1, 9, 9).repeat(8, axis=0)
    assert changed(wide, image)[:, 4, 4].tolist() == [36, 62, 53, 39, 15, 46, 3, 76]


def test_a_loader_changes_what_it_fills_in_its_order() -> None:
    x = np.random.default_rng(0).integers(0, 255, (6, 3, 3), np.uint8)
    augmentation = Augmentation(6, (3, 3), flip=True, shift=1)
    augmentation.draw(1, 2)
    order = Whole(6, lambda seed, epoch: np.array([3, 1, 0, 5, 4, 2]), "given")
    loader = Loader({"x": x, "y": np.arange(6)}, 1 / 255, augmentation, order)
    loader.begin(1, 2)
    target, labels = np.empty((4, 3, 3), np.float32), np.empty(4, np.int64)
    loader.fill(Range(1, 5), {"x": target, "y": labels})
    np.testing.assert_array_equal(labels, [1, 0, 5, 4])
    np.testing.assert_allclose(target, changed(augmentation, x / np.float32(255), [1, 0, 5, 4]), rtol=1e-6)


def test_filling_allocates_no_arrays() -> None:
    augmentation = Augmentation(100, (28, 28), flip=True, shift=2)
    augmentation.draw(0, 0)
    loader = Loader({"x": np.ones((100, 28, 28), np.uint8), "y": np.zeros(100, np.int64)}, 1 / 255, augmentation)
    targets = [(np.empty((n, 28, 28), np.float32), np.empty(n, np.int64), Range(10, 10 + n)) for n in (1, 17, 64)]
    tracemalloc.start()
    try:
        for x, y, positions in targets:
            loader.fill(positions, {"x": x, "y": y})
        tracemalloc.reset_peak()
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(100):
            for x, y, positions in targets:
                loader.fill(positions, {"x": x, "y": y})
        # numpy adds what it broadcasts through two buffers of 64 KiB, whatever the size; the images take 196
        assert tracemalloc.get_traced_memory()[1] - before < 140 * 1024
        assert tracemalloc.get_traced_memory()[0] - before < 2048
    finally:
        tracemalloc.stop()


def test_only_training_changes_its_images() -> None:
    run = assembled(alone(), augment={"flip": True, "shift": 1})
    assert run.loader.augmentation is not None
    loaders = [reader.source for evaluator in run.evaluators.values() for reader in evaluator._readers]
    assert len(loaders) > 2
    assert not any(loader.augmentation for loader in loaders)
    assert assembled(alone(), augment={"flip": False}).step.source.augmentation is None


@pytest.mark.parametrize(
    ("shape", "chosen", "words"),
    [
        (
            (4,),
            {"flip": True},
            r"images, of shape \(height, width\) or .* have shape \(4,\); remove the section",
        ),
        ((4, 4, 4, 4), {"flip": True}, r"samples have shape \(4, 4, 4, 4\)"),
        ((28, 20), {"flip": False, "shift": 20}, r"augment.shift is 20, .* only 28 × 20 pixels; choose at most 19\."),
        ((5, 9, 3), {"flip": False, "crop": 7}, r"augment.crop is 7, .* only 5 × 9 pixels; choose at most 4\."),
        ((1, 9), {"flip": False, "crop": 1}, r"only 1 × 9 pixels; choose 0\."),
    ],
)
def test_what_does_not_fit_is_refused(shape: tuple[int, ...], chosen: dict[str, Any], words: str) -> None:
    with pytest.raises(RunFileError, match=words):
        Augmentation(10, shape, **chosen)


@pytest.mark.parametrize(
    ("augment", "data", "words"),
    [
        ({"flip": True}, "points", "samples have shape (4,)"),
        ({"shift": 8}, "digits", "augment.shift is 8, but the data's images are only 8 × 8 pixels"),
        ({"shift": 1, "crop": 1}, "digits", "augment.crop stands beside shift"),
        ({"shift": -1}, "digits", "augment.shift is -1"),
        ({"flop": True}, "digits", "augment.flop is not a setting (did you mean 'flip'?)"),
    ],
)
def test_a_bad_section_ends_the_command_with_2(augment: Any, data: str, words: str, tmp_path: Path) -> None:
    section = {"path": str(blobs(tmp_path / "points.h5", {"train": 64}))} if data == "points" else {}
    run = run_file(tmp_path / "run.toml", data=section)
    table = "".join(f"{key} = {str(value).lower()}\n" for key, value in augment.items())
    text = run.read_text().split("[augment]")[0] + f"[augment]\n{table}"
    run.write_text(text)
    done = distnn("train", run, "--out", "out", cwd=tmp_path)
    assert done.returncode == 2
    assert words in done.stderr, done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "out").exists()
