"""What single sections describe, for the data at hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from distnn.errors import UsageError
from distnn.session import parts
from tests.support.runs import settings


def images(path: Path, *shape: int) -> Path:
    with h5py.File(path, "w") as file:
        file.attrs.update({"task": "classification", "classes": ["a", "b"]})
        file["train/x"], file["train/y"] = np.zeros((6, *shape), "f4"), np.arange(6) % 2
    return path


CONVNET = {"kind": "convnet", "channels": [2]}


@pytest.mark.parametrize("shape", [(3, 32, 32), (1, 28, 28), (4, 64, 8)])
def test_networks_for_images_refuse_channels_first(tmp_path: Path, shape: tuple[int, ...]) -> None:
    """Unless the run file says how they stand; for others it doesn't matter."""
    data: dict[str, Any] = {"path": str(images(tmp_path / "a.h5", *shape))}
    said = settings(model=CONVNET, data=data)
    with parts.data_file(said) as file, pytest.raises(UsageError, match="channels first") as caught:
        parts.model(said, file)
    assert 'data.x = {layout = "channels_first"}' in str(caught.value)
    with parts.data_file(said) as file:
        parts.model(settings(model={"kind": "mlp"}, data=data), file)
    said = settings(model=CONVNET, data=data | {"x": {"layout": "channels_first"}})
    with parts.data_file(said) as file:
        assert parts.model(said, file).input_shape == (*shape[1:], shape[0])
    if shape[0] > 1:  # of one pixel's height there is nothing to pool
        said = settings(model=CONVNET, data=data | {"x": {"layout": "channels_last"}})
        with parts.data_file(said) as file:
            assert parts.model(said, file).input_shape == shape


@pytest.mark.parametrize("shape", [(32, 32, 3), (28, 28), (8, 8), (3, 9, 3)])
def test_channels_that_come_last_are_taken(tmp_path: Path, shape: tuple[int, ...]) -> None:
    said = settings(model=CONVNET, data={"path": str(images(tmp_path / "a.h5", *shape))})
    with parts.data_file(said) as file:
        parts.model(said, file)


def test_another_file_that_is_laid_out_alike(tmp_path: Path) -> None:
    first, other = images(tmp_path / "a.h5", 2, 3), images(tmp_path / "b.h5", 2, 3)
    said = settings(model={"kind": "mlp"}, data={"path": str(first), "x": {"layout": "reversed_samples"}})
    with parts.data_file(said, path=other) as file:
        assert (file.path, file.sample_shape) == (other, (3, 2))
