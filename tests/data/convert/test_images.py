"""Folders of images: pixels as they were saved, classes by folders or by a table, and what is refused or told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from distnn.data import DataFile
from distnn.data.convert import images
from distnn.data.convert.images import Look
from distnn.data.convert.splits import Shares
from distnn.errors import DataError
from tests.support.files import contents

RANDOM = np.random.default_rng(0)
WHOLE = Shares(0, 0)


def pixels(*shape: int, dtype: str = "u1") -> np.ndarray:
    return RANDOM.integers(0, np.iinfo(dtype).max, shape, dtype, endpoint=True)


def saved(path: Path, values: np.ndarray, mode: str | None = None, **options: Any) -> np.ndarray:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(values)
    (image.convert(mode) if mode else image).save(path, **options)
    return values


class Made:
    """What becomes of a folder: x and y by split, the classes, and the lines that were told."""

    def __init__(self, folder: Path, cutting: Shares = WHOLE, **options: Any) -> None:
        self.lines: list[str] = []
        output = folder.parent / "made.h5"
        images.convert(output, folder, cutting=cutting, tell=self.lines.append, force=True, **options)
        self.splits = contents(output)
        with DataFile(output) as file:
            self.task, self.classes, self.scale, self.names = file.task, file.classes, file.scale, file.names("y")

    def all(self, split: str = "train") -> dict[bytes, str | float]:
        """The label of each image, by its bytes."""
        x, y = self.splits[split]
        return {
            image.tobytes(): self.classes[label] if self.classes else label for image, label in zip(x, y, strict=True)
        }


@pytest.mark.parametrize("shape", [(5, 4), (5, 4, 3), (5, 4, 4)])
@pytest.mark.parametrize("suffix", ["png", "TIFF", "bmp", "webp"])
def test_a_folder_for_each_class(tmp_path: Path, shape: tuple[int, ...], suffix: str) -> None:
    if (suffix, shape[2:]) in (("webp", ()), ("bmp", (4,))):
        return  # has no grey, or no transparency
    options = {"lossless": True, "exact": True} if suffix == "webp" else {}
    expected = {}
    for label, name in enumerate(("2", "10", "1")):
        for number in range(2 + label):
            path = tmp_path / "pics" / name / ("deep" if number else "") / f"{number}.{suffix}"
            expected[saved(path, pixels(*shape), **options).tobytes()] = name
    made = Made(tmp_path / "pics", look=Look(mode="RGBA" if len(shape) == 3 and shape[2] == 4 else None))
    assert made.all() == expected
    assert made.classes == ("1", "2", "10") and made.scale == 1 / 255
    assert made.splits["train"][0].shape == (9, *shape)


def test_grey_of_16_bits_keeps_them(tmp_path: Path) -> None:
    for name in "ab":
        values = saved(tmp_path / "pics" / name / "0.png", pixels(4, 4, dtype="u2"))
    made = Made(tmp_path / "pics")
    assert values.tobytes() in made.all() and made.scale == 1 / 65535
    assert made.lines[-2] == "grey, values 0..65535, to be multiplied by 1/65535"
    with pytest.raises(DataError, match=r"2 grey images of 16 bits.* can't be taken as RGB"):
        Made(tmp_path / "pics", look=Look(mode="RGB"))
    saved(tmp_path / "pics" / "b" / "1.png", pixels(4, 4))
    with pytest.raises(DataError, match=r"2 grey images of 16 bits, .* can't be joined with those of 8 bits"):
        Made(tmp_path / "pics")


def test_kinds_are_made_alike_and_told(tmp_path: Path) -> None:
    folder = tmp_path / "pics"
    grey, colour = pixels(4, 4), pixels(4, 4, 3)
    flat = np.repeat(np.array([[[9, 200, 77]], [[3, 3, 255]]], "u1"), 2, 1)
    glassy = np.dstack([np.full((4, 4, 3), [200, 100, 0]), np.full((4, 4), 51)]).astype("u1")
    saved(folder / "a" / "grey.png", grey)
    saved(folder / "a" / "colour.png", colour)
    saved(folder / "b" / "palette.png", np.kron(flat, np.ones((2, 2, 1), "u1")), mode="P")
    saved(folder / "b" / "glassy.png", glassy)
    saved(folder / "b" / "bits.png", grey > 127)
    made = Made(folder)
    got = made.all()
    assert got[np.repeat(grey[..., None], 3, 2).tobytes()] == "a" and got[colour.tobytes()] == "a"
    over_white = np.round(0.2 * np.array([200, 100, 0]) + 0.8 * 255).astype("u1")
    assert got[np.full((4, 4, 3), over_white).astype("u1").tobytes()] == "b"
    assert got[np.repeat(np.where(grey > 127, 255, 0).astype("u1")[..., None], 3, 2).tobytes()] == "b"
    assert "2 grey images and 3 in colour: all are taken as RGB" in made.lines
    assert "1 images with transparency: on white (--mode RGBA keeps it)" in made.lines
    assert Made(folder, look=Look(mode="L")).splits["train"][0].shape == (5, 4, 4)
    assert glassy.tobytes() in Made(folder, look=Look(mode="RGBA")).all()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_photographs_are_turned_upright(tmp_path: Path, orientation: int) -> None:
    """As EXIF's table of orientations says which edge is row 0 and which column 0."""
    upright = np.zeros((16, 24), "u1")
    upright[:8, :8] = 255
    turn = {1: 0, 2: 0, 3: 2, 4: 2, 5: 1, 6: 1, 7: 3, 8: 3}[orientation]
    stored = np.rot90(upright, turn)
    stored = np.fliplr(stored) if orientation in (2, 4) else np.flipud(stored) if orientation in (5, 7) else stored
    exif = Image.Exif()
    exif[0x0112] = orientation
    for name in "ab":
        saved(tmp_path / "pics" / name / "0.jpg", np.ascontiguousarray(stored), exif=exif, quality=100)
    made = Made(tmp_path / "pics")
    np.testing.assert_allclose(made.splits["train"][0][0], upright, atol=8)
    assert ("2 photographs turned upright, as their EXIF orientation says" in made.lines) == (orientation > 1)


def test_sizes_are_made_equal_only_where_that_is_asked_for(tmp_path: Path) -> None:
    folder = tmp_path / "pics"
    ramp = np.broadcast_to(np.arange(0, 240, 10, "u1"), (12, 24))
    saved(folder / "a" / "wide.png", ramp)
    saved(folder / "b" / "tall.png", pixels(30, 10))
    with pytest.raises(DataError, match=r"2 sizes: 24x12 \(1, as a/wide.png\), 10x30 .*such as --resize 24x12"):
        Made(folder)
    made = Made(folder, look=Look(resize=(12, 6)))
    x = made.splits["train"][0]
    assert x.shape == (2, 6, 12) and "images of 2 sizes stretched to 12x6" in made.lines
    halved = next(image for image in x if (image == image[0]).all())
    np.testing.assert_allclose(halved[0, 1:-1], ramp[0].reshape(12, 2).mean(1)[1:-1], atol=1)
    cropped = Made(folder, look=Look(resize=(6, 6), crop=True)).splits["train"][0]
    middle = next(image for image in cropped if (image == image[0]).all())
    np.testing.assert_allclose(middle[0, 1:-1], ramp[0, 6:18].reshape(6, 2).mean(1)[1:-1], atol=1)


def test_splits_of_folders(tmp_path: Path) -> None:
    folder = tmp_path / "pics"
    for split in ("train", "val", "test"):
        for name in "ab":
            saved(folder / split / name / "0.png", pixels(3, 3))
    saved(folder / "elsewhere" / "0.png", pixels(3, 3))
    (folder / "notes.txt").write_text("x")
    made = Made(folder, Shares())
    assert {split: len(y) for split, (_, y) in made.splits.items()} == {"train": 2, "validation": 2, "test": 2}
    assert made.lines[0] == "left out, as no image of a class: elsewhere, notes.txt (files and folders: 2)"
    with pytest.raises(DataError, match=r"has its own splits \(.*\), so fractions for validation and test don't"):
        Made(folder, Shares(test=0.5))
    saved(folder / "valid" / "a" / "0.png", pixels(3, 3))
    with pytest.raises(DataError, match="has two folders for one split"):
        Made(folder, Shares())


def test_one_set_is_split_with_every_class_in_proportion(tmp_path: Path) -> None:
    for name, count in (("a", 20), ("b", 10)):
        for number in range(count):
            saved(tmp_path / "pics" / name / f"{number}.png", pixels(3, 3))
    made = Made(tmp_path / "pics", Shares(0.1, 0.2))
    assert {split: np.bincount(y).tolist() for split, (_, y) in made.splits.items()} == {
        "train": [14, 7],
        "validation": [2, 1],
        "test": [4, 2],
    }


@pytest.mark.parametrize("header", ["file,kind", "width,NAME,Label"])
def test_a_table_of_names_and_labels(tmp_path: Path, header: str) -> None:
    folder, lines, expected = tmp_path / "pics", [header], {}
    for number, name in enumerate(("1.png", "deep/2.png", "3", "4.jpeg.png")):
        label = ("x", "y")[number % 2]
        expected[saved(folder / (name + (".png" if "." not in name else "")), pixels(3, 3)).tobytes()] = label
        lines.append(f"{name},{label}" if header.startswith("file") else f"7,{name},{label}")
    saved(folder / "more.png", pixels(3, 3))
    table = tmp_path / "labels.csv"
    table.write_text("\n".join(lines))
    made = Made(folder, labels=table)
    assert made.all() == expected and made.classes == ("x", "y")
    assert made.lines[0] == "images left out, that labels.csv doesn't name: 1, more.png"


def test_labels_that_are_quantities(tmp_path: Path) -> None:
    values = {saved(tmp_path / "pics" / f"{n}.png", pixels(3, 3)).tobytes(): n + 0.5 for n in range(4)}
    (tmp_path / "l.csv").write_text("name,age\n" + "".join(f"{n}.png,{n}.5\n" for n in range(4)))
    made = Made(tmp_path / "pics", labels=tmp_path / "l.csv")
    assert made.all() == values and made.task == "regression"


def test_several_quantities_of_an_image(tmp_path: Path) -> None:
    values = {saved(tmp_path / "pics" / f"{n}.png", pixels(3, 3)).tobytes(): (n, n / 2) for n in range(4)}
    table = tmp_path / "l.csv"
    table.write_text("left,file,note,top\n" + "".join(f"{n},{n}.png,x,{n / 2}\n" for n in range(4)))
    made = Made(tmp_path / "pics", labels=table, targets=("left", "top"))
    assert {image.tobytes(): tuple(y) for image, y in zip(*made.splits["train"], strict=True)} == values
    assert made.names == ("left", "top")
    with pytest.raises(DataError, match=r"has no column 'lefd' \(did you mean 'left'\?\)"):
        Made(tmp_path / "pics", labels=table, targets=("lefd",))
    with pytest.raises(DataError, match="classes are in one column; expected one --target, or --task regression"):
        Made(tmp_path / "pics", labels=table, targets=("left", "top"), task="classification")


def test_images_of_one_group_stay_in_one_split(tmp_path: Path) -> None:
    lines, groups = ["file,patient,kind"], {}
    for number in range(24):
        values = saved(tmp_path / "pics" / f"{number}.png", pixels(3, 3))
        groups[values.tobytes()] = f"p{number % 8}"
        lines.append(f"{number}.png,p{number % 8},{'ab'[number % 2]}")
    (tmp_path / "t.csv").write_text("\n".join(lines) + "\n")
    made = Made(tmp_path / "pics", Shares(0.25, 0.25, group="patient"), labels=tmp_path / "t.csv", targets=["kind"])
    found = [{groups[image.tobytes()] for image in x} for x, _ in made.splits.values()]
    assert len(found) == 3 and sum(map(len, found)) == 8
    with pytest.raises(DataError, match=r"t\.csv has no column 'patients' \(did you mean 'patient'\?\)"):
        Made(tmp_path / "pics", Shares(group="patients"), labels=tmp_path / "t.csv", targets=["kind"])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("name,label\n", "has a header but no line below it"),
        ("name,label\n9.png,x\n", r"line 2: the image '9.png' is not in .*pics; correct the name"),
        ("name,label\n../l.csv,x\n", r"line 2: the image '../l.csv' is not in"),
        ("name,label\n2.png,x\n", r"line 2: the image '2.png' may be .* or .*; correct the name"),
        ("name,label\n1.png,x\n1.png,y\n", "line 3: the image '1.png' has two labels"),
        ("name,label\n1.png,\n", "line 2: no label; expected a name and a label in each line"),
        ("name,label\n1.png,x\n", "has only the class 'x'"),
        ("a,b,c\n1.png,x,y\n", "has the columns a, b, c; expected two, the names and the labels, or one column called"),
    ],
)
def test_bad_tables_are_refused(tmp_path: Path, text: str, expected: str) -> None:
    for name in ("1.png", "a/2.png", "b/2.png"):
        saved(tmp_path / "pics" / name, pixels(3, 3))
    (tmp_path / "l.csv").write_text(text)
    with pytest.raises(DataError, match=expected):
        Made(tmp_path / "pics", labels=tmp_path / "l.csv")


def damaged(content: bytes) -> list[bytes]:
    return [b"", b"hello", content[:20], content[: len(content) // 2], content[:60] + bytes(40) + content[100:]]


@pytest.mark.parametrize("suffix", ["png", "jpg", "gif", "tif"])
def test_broken_files_are_refused_or_left_out(tmp_path: Path, suffix: str) -> None:
    folder = tmp_path / "pics"
    for name in "ab":
        for number in range(2):
            saved(folder / name / f"{number}.{suffix}", pixels(40, 40))
    broken = folder / "a" / f"1.{suffix}"
    refused = 0
    for content in damaged(broken.read_bytes()):
        broken.write_bytes(content)
        try:
            Made(folder)
        except DataError as error:
            refused += 1
            assert str(broken) in str(error) and "--skip-broken" in str(error) and "\n" not in str(error)
            made = Made(folder, look=Look(skip_broken=True))
            assert len(made.splits["train"][1]) == 3
            assert made.lines[0] == f"images left out, that can't be read: 1, a/1.{suffix}"
        assert [path.name for path in tmp_path.iterdir() if path.suffix == ".tmp"] == []
    assert refused >= 4 if suffix == "png" else refused >= 2


def test_what_is_no_folder_of_images_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "pics"
    with pytest.raises(DataError, match="There is no folder"):
        Made(folder)
    saved(folder / "0.png", pixels(3, 3))
    with pytest.raises(DataError, match="has no folders with images; it holds 1 images itself: expected a folder for"):
        Made(folder)
    saved(folder / "a" / "0.png", pixels(40, 40))
    with pytest.raises(DataError, match="has only the class 'a'"):
        Made(folder)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    with pytest.raises(DataError, match=r"a/0\.png is an image of more than 1000 pixels, .*--skip-broken"):
        Made(folder)


def test_a_program_in_the_clothes_of_an_image_is_not_run(tmp_path: Path) -> None:
    """Encapsulated PostScript is a program, which Pillow would have Ghostscript run."""
    for name in "ab":
        saved(tmp_path / "pics" / name / "0.png", pixels(3, 3))
    (tmp_path / "pics" / "a" / "0.png").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 3 3\n%%EndComments\n")
    with pytest.raises(DataError, match=r"a/0\.png can't be read as an image \(UnidentifiedImageError"):
        Made(tmp_path / "pics")


def test_images_are_read_a_few_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("distnn.data.file.writing.SLAB_BYTES", 3 * 9)
    expected = {
        saved(tmp_path / "pics" / "ab"[n % 2] / f"{n}.png", pixels(3, 3)).tobytes(): "ab"[n % 2] for n in range(10)
    }
    most = []
    get = images.Pictures.__getitem__

    def spy(self: images.Pictures, rows: slice) -> np.ndarray:
        most.append(rows.stop - rows.start)
        return get(self, rows)

    monkeypatch.setattr(images.Pictures, "__getitem__", spy)
    assert Made(tmp_path / "pics").all() == expected
    assert max(most) == 3
