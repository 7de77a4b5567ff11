"""The text of a run file: lines of keys, overrides, writing."""

from __future__ import annotations

import contextlib
import re
import tempfile
import time
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distnn.config import read, to_dict, to_toml
from distnn.config.text import DEEPEST, Keys, apply_override, line_of, load, parse_override, parsed, show, walk, write
from distnn.errors import RunFileError
from tests.support.refusals import refused

GOOD = '[model]\nkind = "mlp"\n[data]\npath = "d.h5"\n'


def test_lines_in_every_way_of_writing_toml() -> None:
    text = """
data.path = "x"       # dotted
train = {epochs = 3,  seed = 0}
note = '''
[model]
kind = "in a text"
'''
"optimizer".'learning_rate' = 3

[model]
hidden = [  # several lines
  1,
]
[[model.layers]]
units = 1
[[model.layers]]
bias = true
units = 2
"""
    lines = {
        ("data", "path"): 2,
        ("train", "seed"): 3,
        ("optimizer", "learning_rate"): 8,
        ("model", "hidden", 0): 11,
        ("model", "hidden"): 11,
        ("model", "layers", 0, "units"): 15,
        ("model", "layers", 1, "units"): 18,
        ("model", "layers", 1, "kind"): 16,
        ("model", "kind"): 10,
        ("log", "interval"): None,
    }
    assert {keys: line_of(text, keys) for keys in lines} == lines


def test_an_override_makes_the_tables_it_needs_and_nothing_else() -> None:
    target: dict[str, Any] = {"a": {"b": 1}, "list": [1, {"x": 2}]}
    assert apply_override(target, ("a", "b", "c"), 0) == ("a", "b")
    assert apply_override(target, ("list", "x"), 0) == ("list",)
    assert target == {"a": {"b": 1}, "list": [1, {"x": 2}]}
    assert apply_override(target, ("n", "m"), 3) is None
    assert apply_override(target, ("list", 1, "x"), 4) is None
    assert target == {"a": {"b": 1}, "list": [1, {"x": 4}], "n": {"m": 3}}
    assert parse_override("a.b=c=d") == (("a", "b"), "c=d")


def test_writing_toml() -> None:
    value = {"a b": 'x\n"\x7f', "sub": {"t": [1, 2.5], "rows": [{"y": True}, {}]}, "none": {}}
    text = write(value)
    assert tomllib.loads(text) == value
    assert text.startswith('"a b" = "x\\n\\"\\u007f"\n\n[sub]\nt = [1, 2.5]\n\n[[sub.rows]]\ny = true\n')
    assert show({"a": [1e-5, "b"]}) == '{a = [1e-05, "b"]}'


KEYS = st.sampled_from(["a", "b", '"c.d"', "'[e'", '"#"'])
TEXTS = st.sampled_from(
    ['"x"', "'#'", '"""\n[a]\n# \\""""""', "'''\n]'''''", '"[{"', "1", "[1, # ]\n 2]", "[\n[\n],\n]", "{x = {y = 1}}"]
)
STATEMENTS = st.one_of(
    st.builds("{} = {} # ['\"".format, st.lists(KEYS, min_size=1, max_size=2).map(".".join), TEXTS),
    st.builds("[{}]".format, st.lists(KEYS, min_size=1, max_size=3).map(" . ".join)),
    st.builds("[[{}]]".format, st.lists(KEYS, min_size=1, max_size=2).map(".".join)),
    st.sampled_from(["", "# ]'", "  \t"]),
)


@given(st.lists(STATEMENTS, max_size=8), st.sampled_from(["\n", "\r\n"]))
def test_lines_are_those_after_the_longest_beginning_that_lacks_the_key(drawn: list[str], end: str) -> None:
    text = ""
    for statement in drawn:  # what contradicts those before is left out
        try:
            tomllib.loads(f"{text}{statement}\n")
            text += f"{statement}\n"
        except tomllib.TOMLDecodeError:
            continue
    for keys, _ in walk(tomllib.loads(text)):
        if keys:
            assert line_of(text.replace("\n", end), keys) == by_beginnings(text, keys), (text, keys)


def by_beginnings(text: str, keys: Keys) -> int:
    """The line by its definition: slow, but it needs no knowledge of TOML."""
    lines, whole = text.split("\n"), 0
    for count in range(1, len(lines) + 1):
        try:
            table = tomllib.loads("\n".join(lines[:count]))
        except tomllib.TOMLDecodeError:
            continue
        if any(keys == each for each, _ in walk(table)):
            return whole + 1
        whole = count
    raise AssertionError(keys)


LONG = {
    "comments": "# comment\n" * 20_000 + f"{GOOD}[train]\nepochs = -1",
    "keys": f"{GOOD}[train]\n" + "".join(f"k{number} = 1\n" for number in range(20_000)),
    "a list": '[data]\npath = "d.h5"\n[model]\nkind = "mlp"\nhidden = [\n' + "-1,\n" * 20_000 + "]",
    "a name": GOOD + "k" * 500_000 + " = 1",
}


@pytest.mark.parametrize("case", LONG)
def test_mistakes_in_long_files_are_found_soon(case: str, tmp_path: Path) -> None:
    (tmp_path / "run.toml").write_text(LONG[case])
    begin = time.process_time()
    with pytest.raises(RunFileError, match=r"run.toml, line \d+: "):
        read(tmp_path / "run.toml")
    assert time.process_time() - begin < 10


BEYOND = {
    "a number of 5,000 digits": ("[x]\na = " + "9" * 5000, "thousands of digits"),
    "one of 4,000": ("[train]\nepochs = " + "9" * 4000, "line 6: train.epochs is an integer beyond 64 bits"),
    "one in hexadecimal": ("[train]\nepochs = 0x" + "f" * 9000, "line 6: train.epochs is an integer beyond 64 bits"),
    "one for a word": ("[train]\ndtype = 0x" + "f" * 9000, 'ffff… (an integer), but must be "float32" or "float64"'),
    "lists in lists": ("[x]\na = " + "[" * 500 + "]" * 500, "nested too deeply"),
    "fewer": ("[x]\na = " + "[" * (DEEPEST + 1) + "]" * (DEEPEST + 1), "line 6: x.a is nested too deeply"),
    "names in names": ("[x]\n" + "a." * (DEEPEST - 1) + "b = 1", "line 6: x.a is nested too deeply"),
    "more": ("[x]\n" + "a." * DEEPEST + "b = 1", "a key has more than 128 names (at line 6)"),
    "a long path": ("path = '" + "a" * 10_000 + "'", 'line 4: data.path is "aaa'),
    "a path of long parts": ("path = '" + "a/" * 3000 + "'", "File name too long"),
    "a path with a NUL": ('path = "a\\u0000"', "no file can have that name"),
}


@pytest.mark.parametrize("case", BEYOND)
def test_what_python_cannot_bear_is_refused_in_words(case: str, tmp_path: Path) -> None:
    addition, words = BEYOND[case]
    good = GOOD.removesuffix('path = "d.h5"\n') if addition.startswith("path") else GOOD
    (tmp_path / "run.toml").write_text(good + addition)
    text = refused(tmp_path, "train", "run.toml")
    assert words in text
    assert len(text) < 1000


@pytest.mark.parametrize("name", ["a", '"a.b"', "'a'"])
@pytest.mark.parametrize("around", ["{} = 1", "[{}]", "[[ {} ]]", "a = {{b = [{{{} = 1}}]}}"])
@pytest.mark.parametrize("dot", [".", " . "])
def test_keys_of_many_names_are_refused_at_once(name: str, around: str, dot: str) -> None:
    """tomllib takes a minute for them."""
    begin = time.process_time()
    with pytest.raises(ValueError, match=r"more than 128 names \(at line 4\)"):
        parsed("a = '''\n.\n'''\n" + around.format(dot.join([name] * 30_000)))
    assert time.process_time() - begin < 1
    most = around.format(dot.join([name] * DEEPEST))
    assert parsed(most) == tomllib.loads(most)


@pytest.mark.parametrize(
    "text",
    ["# {}", "b = '{}'", 'b = "{}"', "b = '''\n{}'''", 'b = """\n{}\\""""', 'b = "\\"{}"', "b = '\"{}'", 'b = "\'{}"'],
)
def test_dots_in_texts_and_comments_are_no_keys(text: str) -> None:
    text = text.format("a." * 1000) + "\nc = [" + "1.5, " * 1000 + "]"
    assert parsed(text) == tomllib.loads(text)


@pytest.mark.parametrize("text", ['"\\"', "'''a.", '"""\\"""', '""', "a ", "a.b ", "'", '"', "'''", '"""', "[a.", "\\"])
def test_what_is_no_toml_is_refused_at_once(text: str) -> None:
    begin = time.process_time()
    with pytest.raises(ValueError):
        parsed("b = " + text * 100_000 + "." * 200)
    assert time.process_time() - begin < 5


def test_a_mark_before_the_text_is_no_part_of_it(tmp_path: Path) -> None:
    path = tmp_path / "run.toml"
    path.write_bytes(b"\xef\xbb\xbf" + GOOD.replace("\n", "\r\n").encode())
    assert load(path)[0] == tomllib.loads(GOOD)
    path.write_bytes(GOOD.encode("utf-16"))
    with pytest.raises(RunFileError, match="it is in UTF-16; save it as UTF-8"):
        load(path)


@pytest.mark.parametrize("name", ["~/d.h5", "$HOME/d.h5", "/data/${USER}/*.h5"])
def test_paths_that_only_a_shell_expands(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("run.toml").write_text(GOOD)
    with pytest.raises(RunFileError, match=r"--set data.path=.*: data.path is .* are not expanded here"):
        read("run.toml", [f'data.path="{name}"'])
    (tmp_path / "~").mkdir()
    (tmp_path / "$HOME").mkdir()
    if name[0] != "/":
        assert read("run.toml", [f'data.path="{name}"']).data.path == name


@pytest.mark.parametrize(("text", "value"), [(".01", 0.01), ("-.5e2", -50.0), ("5.", 5.0), ("1.5", 1.5), (".", ".")])
def test_numbers_of_overrides_need_no_digit_before_the_point(text: str, value: float | str) -> None:
    assert parse_override(f"optimizer.learning_rate={text}") == (("optimizer", "learning_rate"), value)


RUN = """\
[data]
path = "d.h5"
batch_size = 64
[train]
epochs = 10
on_nan = "stop"
target_loss = 0.5
[optimizer]
kind = "adam"
beta1 = 0.8
[model]
layers = [
  {kind = "dense", units = 16, activation = "relu"},
  {kind = "residual", layers = [{kind = "dense", units = 16}]},
  {kind = "dense"},
]
[parallel]
shards = 4
bucket_mb = 1.5
"""
VALUES = ["1e400", "nan", "1979-05-27", "-1", "0x1F", '"""', "'", "true", "[[", "\\u0000", "é"]
PIECES = re.findall(r"\w+|\s+|\W", RUN) + VALUES


@given(st.data())
def test_run_files_of_any_text_are_read_or_refused_with_their_name(data: st.DataObject) -> None:
    pieces = re.findall(r"\w+|\s+|\W", RUN)
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(pieces) - 1))
        pieces[place : place + data.draw(st.integers(0, 3))] = data.draw(st.lists(st.sampled_from(PIECES), max_size=2))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "run.toml"
        path.write_text(RUN)
        assert to_dict(read(path))["optimizer"]["beta1"] == 0.8
        path.write_text("".join(pieces), encoding="utf-8")
        try:
            settings = read(path)
        except RunFileError as error:
            assert "run.toml" in str(error)
            return
        path.write_text(to_toml(settings), encoding="utf-8")
        assert read(path) == settings


@given(st.binary(max_size=200))
def test_run_files_of_any_bytes(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "run.toml"
        path.write_bytes(content)
        with pytest.raises(RunFileError, match="run.toml"):
            read(path)


@given(st.text(max_size=30), st.text(max_size=30))
def test_overrides_of_any_text(key: str, value: str) -> None:
    with contextlib.suppress(RunFileError):
        parse_override(f"{key}={value}")
    with pytest.raises(RunFileError):
        parse_override("model.hidden.0=" + "9" * 5000)
    assert parse_override(f"model.layers.{'9' * 5000}=1")[0][1:] == ("layers", "9" * 5000)
