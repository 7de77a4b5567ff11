"""Images and masks of them: each pixel's class as it was saved, and what is refused or told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from distnn.cli.main import main
from distnn.data import DataFile
from distnn.data.convert import masks
from distnn.data.convert.images import Look
from distnn.data.convert.splits import TENTHS, Shares
from distnn.errors import DataError
from tests.support.files import contents

RANDOM = np.random.default_rng(0)
WHOLE = Shares(0, 0)


def saved(path: Path, values: np.ndarray, mode: str | None = None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(values)
    (image.convert(mode) if mode else image).save(path)


def pairs(folder: Path, count: int, values: list[int], place: str = "", ending: str = "") -> dict[bytes, bytes]:
    """The masks of so many images, by the images."""
    found = {}
    for number in range(count):
        image = RANDOM.integers(0, 256, (6, 5, 3), "u1")
        mask = RANDOM.choice(np.array(values, "u1"), (6, 5))
        saved(folder / "images" / place / f"{number}.png", image)
        saved(folder / "masks" / place / f"{number}{ending}.png", mask)
        found[image.tobytes()] = mask.tobytes()
    return found


def made(folder: Path, lines: list[str], cutting: Shares = WHOLE, **options: Any) -> dict[str, Any]:
    given = {"cutting": cutting, "tell": lines.append, "force": True} | options
    return contents(masks.convert(folder / "a.h5", folder / "images", folder / "masks", **given))


@pytest.mark.parametrize("ending", ["", "_mask"])
def test_each_image_has_its_mask(ending: str, tmp_path: Path) -> None:
    expected = pairs(tmp_path, 12, [0, 1, 2], ending=ending)
    x, y = made(tmp_path, lines := [])["train"]
    assert {image.tobytes(): mask.tobytes() for image, mask in zip(x, y, strict=True)} == expected
    assert lines[-1] == "3 classes: 0, 1, 2"
    assert {split: len(y) for split, (_, y) in made(tmp_path, lines, TENTHS).items()} == {
        "train": 10, "validation": 1, "test": 1,
    }  # fmt: skip
    with DataFile(tmp_path / "a.h5") as file:
        assert (file.task, file.classes, file.scale) == ("segmentation", ("0", "1", "2"), 1 / 255)


def test_splits_as_they_are_and_names(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for place, count in (("train", 4), ("val", 2)):
        pairs(tmp_path, count, [0, 255], place)
    words = ["--masks", f"{tmp_path}/masks", "--classes", "ground, tree", "-o", f"{tmp_path}/b.h5"]
    with pytest.raises(SystemExit) as end:
        main(["data", "images", f"{tmp_path}/images", *words])
    assert end.value.code == 0
    said = capsys.readouterr().out
    assert "masks hold 0 and 255: these are the classes 0 and 1" in said and "train 4, validation 2" in said
    with DataFile(tmp_path / "b.h5") as file:
        assert file.classes == ("ground", "tree")
    for more in (["--labels", "a.csv"], ["--task", "regression"], ["--target", "a"]):
        with pytest.raises(SystemExit) as end:
            main(["data", "images", f"{tmp_path}/images", *words, "--force", *more])
        assert end.value.code == 2 and f"{more[0]} " in capsys.readouterr().err


def test_255_beside_classes_does_not_count(tmp_path: Path) -> None:
    pairs(tmp_path, 5, [0, 1, 255])
    made(tmp_path, lines := [])
    with DataFile(tmp_path / "a.h5") as file:
        fields = file.read_fields("train")
    assert (fields["y"][fields["mask"] == 0] == 0).all() and 0 < fields["mask"].mean() < 1
    assert "masks hold 255 besides other classes: such pixels don't count" in lines


def test_they_are_resized_without_new_numbers(tmp_path: Path) -> None:
    pairs(tmp_path, 3, [0, 3])
    for crop in (False, True):
        _, y = made(tmp_path, [], look=Look(resize=(9, 9), crop=crop), classes="abcd")["train"]
        assert y.shape == (3, 9, 9) and set(np.unique(y)) == {0, 3}
    _, y = made(tmp_path, [], look=Look(resize=(10, 12)), classes="abcd")["train"]
    _, once = made(tmp_path, [], classes="abcd")["train"]
    np.testing.assert_array_equal(y, once.repeat(2, 1).repeat(2, 2))


def test_what_is_refused(tmp_path: Path) -> None:
    pairs(tmp_path, 3, [0, 2])
    with pytest.raises(DataError, match=r"masks has the numbers 0, 2, but not 1; .* Name all classes with --classes"):
        made(tmp_path, [])
    with pytest.raises(DataError, match=r"masks has the class 2, but --classes names 2: a, b"):
        made(tmp_path, [], classes="ab")
    saved(tmp_path / "masks" / "1.png", np.zeros((3, 3), "u1"))
    with pytest.raises(DataError, match=r"1\.png is 3x3 pixels, but its image 5x6; expected a mask of its"):
        made(tmp_path, [], classes="abc")
    saved(tmp_path / "masks" / "1.png", np.zeros((6, 5, 3), "u1"))
    with pytest.raises(DataError, match=r"masks/1\.png holds pixels of the kind 'RGB'; expected a mask with one"):
        made(tmp_path, [], classes="abc")
    (tmp_path / "masks" / "1.png").unlink()
    with pytest.raises(DataError, match=r"images/1\.png has no mask: there is no .*masks/1\.png"):
        made(tmp_path, [], classes="abc")
    with pytest.raises(DataError, match="There is no folder nowhere"):
        masks.convert(tmp_path / "a.h5", tmp_path / "images", "nowhere")
