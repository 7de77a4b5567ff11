"""Images in a file each, as climate models write them, and a label for each pixel: the same bits on all ranks."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import h5py
import numpy as np
import pytest

from distnn import checkpoint, config
from distnn.errors import DataError
from distnn.session.build import Run
from distnn.session.parts import data_file
from tests.support.resuming import finished
from tests.support.runs import alone, distnn, metrics

RUN = """
[data]
path = "{split}/*.h5"
one_sample_files = true
x = "climate/data"
y = "climate/labels_0"
task = "segmentation"
classes = ["background", "cyclone", "river"]
batch_size = 5
in_memory = IN_MEMORY

[transforms]
x = ["standardize"]

[model]
kind = "fcn"
channels = [8, 8]

[loss]
class_weights = [0.5, 2, 2]

[optimizer]
kind = "adam"
learning_rate = 0.03

[augment]
flip = true

[metrics]
kinds = ["iou"]

[parallel]
reproducible = true
shards = 6

[train]
epochs = 16
"""


def climate(folder: Path) -> None:
    """Files of 16 × 24 pixels of 4 channels, far from 0 and of different scales, with warm and with wet regions."""
    random = np.random.default_rng(0)
    for split, count in (("train", 24), ("validation", 4)):
        (folder / split).mkdir(parents=True)
        for number in range(count):
            x = random.normal(size=(16, 24, 4))
            smooth = [sum(np.roll(x[..., 0], (i, j), (0, 1)) for i in (-1, 0, 1) for j in (-1, 0, 1)), x[..., 1]]
            labels = np.where(smooth[0] > 3, 1, np.where(smooth[1] > 1, 2, 0))
            with h5py.File(folder / split / f"data-{number:03}.h5", "w") as file:
                file["climate/data"] = (x * [1, 10, 1e-3, 1] + [300, 0, 0, 1e5]).astype(np.float32)
                file["climate/labels_0"] = labels


def test_the_bits_and_the_mean_iou_are_those_of_one_rank(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    climate(tmp_path)
    monkeypatch.chdir(tmp_path)
    run, ends = tmp_path / "run.toml", []
    for ranks, in_memory in ((1, "true"), (3, "false")):
        run.write_text(RUN.replace("IN_MEMORY", in_memory).replace("{split}", f"{tmp_path}/{{split}}"))
        out = tmp_path / f"{ranks}-{in_memory}"
        digest, last = checkpoint.digest(finished(ranks, run, out)), metrics(out, "evaluation")[-1]
        ends.append((digest, last["metrics"]["iou"], last["loss"]))
    assert ends == 2 * ends[:1]
    found = distnn("evaluate", out, f"{tmp_path}/{{split}}/*.h5", "--split", "validation", "--json", cwd=tmp_path)
    assert found.returncode == 0, found.stderr
    assert json.loads(found.stdout)["iou"] > 0.6


def test_the_maps_of_the_script_train_by_its_run_file_and_the_statistics_beside_them_are_those_that_are_fitted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, repository: Path
) -> None:
    spec = importlib.util.spec_from_file_location("make_climate", repository / "data" / "make_climate.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.chdir(tmp_path)
    module.make(Path("climate"), 16, (12, 16))
    settings = config.read(repository / "data" / "climate-fcn.toml")
    with data_file(settings) as file:
        run = Run(settings, file, alone())
    run.loader.begin(0, 0)
    assert np.isfinite(run.step.run(0, 0.1, number=0).sums.mean_loss)
    state = run.chains.state
    run.close()
    with h5py.File("climate/stats.h5") as file:
        mean, square = (file[f"climate/{name}"][:] for name in ("mean", "sqmean"))
    np.testing.assert_allclose(state["x.0.standardize.mean"], mean, rtol=1e-12)
    np.testing.assert_allclose(state["x.0.standardize.deviation"], np.sqrt(square - mean**2), rtol=1e-6)
    # Beside the maps it isn't taken for one.
    Path("climate/stats.h5").rename("climate/train/stats.h5")
    data = settings.data.model_copy(update={"path": "climate/{split}/*.h5"})
    with pytest.raises(DataError, match=r"train/stats\.h5 has no dataset climate/data, .* Narrow the pattern"):
        data_file(settings.model_copy(update={"data": data}))
