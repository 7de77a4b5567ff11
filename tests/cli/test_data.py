"""`distnn data`: each command writes its file, says so in one line, and refuses in words."""

from __future__ import annotations

import io
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner, Result
from PIL import Image

from distnn.cli.main import distnn as program
from distnn.data import DataFile
from distnn.errors import DataError

COMMANDS = ("digits", "fashion-mnist", "idx", "npz", "csv", "parquet", "images")
TABLE = "a,b,t\n" + "".join(f"{2 * row},{row}.5,{'yes' if row % 2 else 'no'}\n" for row in range(40))


def call(*arguments: str | Path) -> Result:
    return CliRunner().invoke(program, ["data", *map(str, arguments)])


def wrote(*arguments: str | Path, notes: int = 0) -> str:
    """The last line that a command prints when it worked, after so many notes."""
    result = call(*arguments)
    assert result.exit_code == 0, (result.output, result.exception)
    assert result.output.count("\n") == 1 + notes
    return result.output.splitlines()[-1]


def refused(*arguments: str | Path) -> str:
    """The message of the DataError that a command raised."""
    result = call(*arguments)
    assert isinstance(result.exception, DataError) and result.exception.exit_code == 2
    assert result.output == ""
    return str(result.exception)


def idx_file(path: Path, values: np.ndarray) -> Path:
    header = bytes([0, 0, 8, values.ndim]) + np.array(values.shape, ">u4").tobytes()
    path.write_bytes(header + values.astype("u1").tobytes())
    return path


def idx_files(folder: Path) -> dict[str, Path]:
    """Four small IDX files under Fashion-MNIST's names, by option."""
    names = ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1")
    images, labels = np.arange(12 * 4).reshape(12, 2, 2), np.arange(12) % 3
    arrays = (images, labels, images[:5], labels[:5])
    options = ("--train-images", "--train-labels", "--test-images", "--test-labels")
    files = (idx_file(folder / f"{name}-ubyte", array) for name, array in zip(names, arrays, strict=True))
    return dict(zip(options, files, strict=True))


def flat(options: dict[str, Path]) -> list[str | Path]:
    return [word for pair in options.items() for word in pair]


def test_the_help_of_each_command_has_an_example() -> None:
    for command in COMMANDS:
        result = call(command, "--help")
        assert result.exit_code == 0
        assert re.search(rf"Example:\n +distnn data {command} ", result.output)
        assert "-o, --output FILE.h5" in result.output and "--force" in result.output
    listed = call("--help").output
    assert all(re.search(rf"^  {command} ", listed, re.MULTILINE) for command in COMMANDS)


def test_digits(tmp_path: Path) -> None:
    path = tmp_path / "digits.h5"
    line = f"wrote {path}: train 1297, validation 200, test 300 samples of 8×8 uint8, 10 classes"
    assert wrote("digits", "-o", path) == line
    path.write_text("mine")
    assert f"{path} already exists and was left as it is" in refused("digits", "-o", path)
    assert path.read_text() == "mine"
    assert wrote("digits", "-o", path, "--force") == line


def test_fashion_mnist(tmp_path: Path) -> None:
    idx_files(tmp_path)
    path = tmp_path / "fm.h5"
    arguments = ("fashion-mnist", "--source", tmp_path, "-o", path)
    assert "5000 samples for validation were asked for, but it holds 12 in all" in refused(*arguments)
    assert not path.exists()
    line = wrote(*arguments, "--validation", "2")
    assert line == f"wrote {path}: train 10, validation 2, test 5 samples of 2×2 uint8, 10 classes"
    assert "train 12, test 5 samples" in wrote(*arguments, "--validation", "0", "--force")
    assert f"not in {tmp_path / 'none'}: looked for" in refused(
        "fashion-mnist", "--source", tmp_path / "none", "-o", "x.h5"
    )


def test_idx(tmp_path: Path) -> None:
    files = flat(idx_files(tmp_path))
    path = tmp_path / "a.h5"
    line = wrote("idx", *files, "--validation", "3", "-o", path)
    assert line == f"wrote {path}: train 9, validation 3, test 5 samples of 2×2 uint8, 3 classes"
    assert "train 12 samples of 2×2" in wrote("idx", *files[:4], "-o", tmp_path / "b.h5")
    lonely = call("idx", *files[:6], "-o", tmp_path / "c.h5")
    assert lonely.exit_code == 2 and "--test-images and --test-labels belong together" in lonely.output


def test_npz(tmp_path: Path) -> None:
    source, path = tmp_path / "a.npz", tmp_path / "a.h5"
    np.savez(source, x=np.random.default_rng(0).normal(size=(50, 4)), y=np.arange(50) % 5)
    line = wrote("npz", source, "--test", "0.2", "--validation", "0", "-o", path)
    assert line == f"wrote {path}: train 40, test 10 samples of 4 float64, 5 classes"
    line = wrote("npz", source, "--task", "regression", "--seed", "7", "-o", path, "--force")
    assert line == f"wrote {path}: train 40, validation 5, test 5 samples of 4 float64, regression"
    np.savez(tmp_path / "b.npz", a_train=np.ones((9, 2)), b_train=np.arange(9), c_train=np.arange(9) / 2, d=np.ones(3))
    options = ("--x", "a_{split}", "--y", "b_{split}", "--y", "c_{split}")
    line = wrote("npz", tmp_path / "b.npz", *options, "-o", path, "--force", notes=1)
    assert line == f"wrote {path}: train 9 samples of 2 float64, regression of 2 targets"
    assert "There is no archive" in refused("npz", tmp_path / "none.npz", "-o", tmp_path / "b.h5")


@pytest.mark.parametrize(("mark", "option"), [(",", ","), (";", ";"), ("\t", "\\t"), ("\t", "\t")])
def test_csv(tmp_path: Path, mark: str, option: str) -> None:
    source, path = tmp_path / "a.csv", tmp_path / "a.h5"
    source.write_text(TABLE.replace(",", mark))
    line = wrote("csv", source, "--target", "t", "--delimiter", option, "-o", path, notes=1)
    assert line == f"wrote {path}: train 32, validation 4, test 4 samples of 2 float32, 2 classes"
    with DataFile(path) as file:
        assert file.classes == ("no", "yes")


def test_csv_that_is_bad_overwrites_nothing(tmp_path: Path) -> None:
    source, path = tmp_path / "a.csv", tmp_path / "a.h5"
    source.write_text(TABLE + "1,,no\n")
    path.write_text("mine")
    text = refused("csv", source, "--target", "t", "-o", path, "--force")
    assert f"{source}, line 42, column 'b': '': the value is missing" in text
    assert path.read_text() == "mine" and len(list(tmp_path.iterdir())) == 2


def test_the_options_of_tables(tmp_path: Path) -> None:
    source, path = tmp_path / "a.csv", tmp_path / "a.h5"
    source.write_text("1,5;red;2020-01-02;7;x\n2,5;NA;2020-01-03;8;y\n3,5;blue;2020-01-04;9;y\n" * 10)
    options = ("--no-header", "--delimiter", ";", "--decimal", ",", "--types", "3=date", "--drop", "5")
    line = wrote("csv", source, "--target", "1,4", *options, "--missing", "drop", "-o", path, notes=4)
    assert line == f"wrote {path}: train 16, validation 2, test 2 samples of 3 float32, regression of 2 targets"
    line = wrote("csv", source, "--target", "1", "--target", "4", *options, "--missing", "drop", "-o", path, "--force",
                 "--group", "2", "--validation", "0", "--test", "0.4", notes=3)  # fmt: skip
    assert line == f"wrote {path}: train 10, test 10 samples of 1 float32, regression of 2 targets"
    assert "no column '6'" in refused("csv", source, "--target", "6", *options, "-o", tmp_path / "b.h5")


def test_parquet(tmp_path: Path) -> None:
    pd.read_csv(io.StringIO(TABLE)).to_parquet(tmp_path / "a.parquet")
    line = wrote("parquet", tmp_path / "a.parquet", "--target", "t", "-o", tmp_path / "a.h5", notes=1)
    assert line.endswith("train 32, validation 4, test 4 samples of 2 float32, 2 classes")


def test_images(tmp_path: Path) -> None:
    for number in range(20):
        path = tmp_path / "pics" / "ab"[number % 2] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((6, 4), number, "u1")).save(path)
    line = wrote("images", tmp_path / "pics", "-o", tmp_path / "a.h5", notes=2)
    assert line == f"wrote {tmp_path / 'a.h5'}: train 16, validation 2, test 2 samples of 6×4 uint8, 2 classes"
    (tmp_path / "l.csv").write_text("name,label\n" + "".join(f"{number},{number / 2}\n" for number in range(20)))
    options = ("--labels", tmp_path / "l.csv", "--resize", "3x2", "--mode", "RGB", "--test", "0.5", "--crop")
    line = wrote("images", tmp_path / "pics", *options, "-o", tmp_path / "b.h5", notes=3)
    assert line.endswith("train 8, validation 2, test 10 samples of 2×3×3 uint8, regression")


def test_what_an_extra_installs_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    (tmp_path / "a.csv").write_text(TABLE)
    text = refused("csv", tmp_path / "a.csv", "--target", "t", "-o", tmp_path / "a.h5")
    assert "needs pandas" in text and "pip install 'distnn[tables]'" in text
    monkeypatch.setitem(sys.modules, "PIL.Image", None)
    (tmp_path / "pics" / "a").mkdir(parents=True)
    (tmp_path / "pics" / "a" / "0.png").touch()
    text = refused("images", tmp_path / "pics", "-o", tmp_path / "a.h5")
    assert "needs Pillow" in text and "pip install 'distnn[images]'" in text


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["digits"], "Missing option '-o'"),
        (["digits", "-o", "."], "is a directory"),
        (["csv", "a.csv", "-o", "a.h5"], "Missing option '--target'"),
        (["csv", "a.csv", "--target", "t", "--test", "1", "-o", "a.h5"], "is not in the range 0<=x<1"),
        (["npz", "a.npz", "--task", "sorting", "-o", "a.h5"], "'sorting' is not one of 'classification', 'regression'"),
        (["fashion-mnist", "--validation", "-1", "-o", "a.h5"], "-1 is not in the range x>=0"),
        (["digits", "-o", "a.h5", "--output", "b.h5"], "--output is given twice; give it once."),
        (["csv", "a.csv", "--target", "t", "--seed", "1", "--seed", "2", "-o", "a.h5"], "--seed is given twice"),
        (["csv", "a.csv", "--target", "t", "--types", "day", "-o", "a.h5"], "'day' has no '='; expected, for example"),
        (["images", ".", "--resize", "big", "-o", "a.h5"], "'big' is not a size; expected a width and a height"),
        (["images", ".", "--resize", "0x3", "-o", "a.h5"], "'0x3' is not a size"),
        (
            ["images", ".", "--target", "a", "-o", "a.h5"],
            "--target names a column of --labels FILE.csv: give that, too",
        ),
        (["images", ".", "--crop", "-o", "a.h5"], "--crop needs the size to cut to: give --resize WxH"),
        (["mnist", "-o", "a.h5"], "No such command 'mnist'"),
    ],
)
def test_bad_usage(arguments: list[str], expected: str) -> None:
    result = call(*arguments)
    assert result.exit_code == 2
    assert expected in " ".join(result.output.split())


def test_the_help_loads_no_hdf5_and_no_converter_what_others_need() -> None:
    code = (
        "import sys, distnn.cli.data; assert 'h5py' not in sys.modules; import distnn.data.convert.digits; "
        "sys.exit(bool({'pandas', 'pyarrow', 'PIL'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
