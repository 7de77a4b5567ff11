"""The shipped digits: copied, and made again from their source."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import h5py
import numpy as np
import pytest

from distnn.data.convert import digits
from distnn.errors import DataError
from tests.support.files import contents, same


def test_digits_are_copied(tmp_path: Path, repository: Path) -> None:
    path = digits.convert(tmp_path / "a.h5")
    assert path.read_bytes() == (repository / "data" / "digits.h5").read_bytes()
    with pytest.raises(DataError, match="already exists"):
        digits.convert(path)
    digits.convert(path, force=True)


def test_digits_missing_from_the_installation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(digits, "PLACES", (tmp_path / "one.h5", tmp_path / "two.h5"))
    with pytest.raises(DataError, match=r"missing from this installation .* looked for .*one\.h5 and .*two\.h5"):
        digits.convert(tmp_path / "a.h5")


def test_the_script_gives_the_shipped_digits(tmp_path: Path, repository: Path) -> None:
    load_digits = pytest.importorskip("sklearn.datasets").load_digits
    script = repository / "data" / "make_digits.py"
    spec = importlib.util.spec_from_file_location("make_digits", script)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.main(tmp_path / "a.h5")
    made, shipped = contents(tmp_path / "a.h5"), contents(repository / "data" / "digits.h5")
    same(made, shipped)
    with h5py.File(tmp_path / "a.h5") as new, h5py.File(repository / "data" / "digits.h5") as old:
        for name in ("task", "source", "licence"):
            assert new.attrs[name] == old.attrs[name]
        assert "CC BY 4.0" in old.attrs["licence"] and "Alpaydin" in old.attrs["source"]
    # Every image of the source is there, once.
    rows = np.concatenate([np.c_[x.reshape(len(x), 64), y] for x, y in shipped.values()])
    source = np.c_[load_digits().data, load_digits().target]
    np.testing.assert_array_equal(rows[np.lexsort(rows.T)], source[np.lexsort(source.T)])
