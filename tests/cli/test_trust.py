"""No verb but `train` imports what a run file or a checkpoint names, unless it is told to: it may be anybody's."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from distnn import checkpoint
from distnn.config import to_dict
from distnn.config.text import write
from tests.support.runs import DIGITS, distnn, run_file, saved, settings

#: What code a checkpoint may name, and where.
NAMED: dict[str, dict[str, Any]] = {
    "model.factory": {"model": {"factory": "trap:network"}},
    "model.layers[0].kind": {"model": {"layers": [{"kind": "trap:Layer"}, {"kind": "dense", "units": 10}]}},
    "model.layers[0].activation": {"model": {"layers": [{"kind": "dense", "units": 10, "activation": "trap:F"}]}},
    "loss.kind": {"loss": {"kind": "trap:Loss"}},
    "transforms.x[0]": {"transforms": {"x": ["trap:Transform"]}},
    "metrics.kinds[0]": {"metrics": {"kinds": ["trap:Metric"]}},
}
TRAP = "from pathlib import Path\nPath('sprung').touch()\n"


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trained")
    done = distnn("train", run_file(folder / "run.toml", train={"epochs": 1}), "--out", folder / "run", "--quiet")
    assert done.returncode == 0, done.stderr
    return folder / "run"


@pytest.fixture
def here(tmp_path: Path) -> Path:
    (tmp_path / "trap.py").write_text(TRAP)
    return tmp_path


@pytest.mark.parametrize("place", NAMED)
def test_a_checkpoint_that_names_code(place: str, trained: Path, here: Path) -> None:
    found = saved(trained)
    forged = dataclasses.replace(found, settings=found.settings | NAMED[place])
    path = checkpoint.save(here / "gift", forged, keep=1, best=False)
    for verb in (
        ["evaluate", path, DIGITS],
        ["predict", path, DIGITS, "-o", "p.h5"],
        ["sample", path, "--prompt", "a"],
    ):
        done = distnn(*verb, cwd=here)
        assert done.returncode == 2, done
        assert "trap:" in done.stderr and "this names code" in done.stderr and "--trust-code" in done.stderr, done
    assert distnn("inspect", path, cwd=here).returncode == 0
    assert not (here / "sprung").exists()
    done = distnn("evaluate", path, DIGITS, "--trust-code", cwd=here)
    assert done.returncode == 2, "there is nothing of that name in it"
    assert (here / "sprung").exists()


@pytest.mark.parametrize("place", NAMED)
def test_a_run_file_that_names_code(place: str, here: Path) -> None:
    run = here / "run.toml"
    run.write_text(write(to_dict(settings()) | NAMED[place]))
    for verb in (["graph", run], ["plan", run, "--site", "generic"]):
        done = distnn(*verb, cwd=here)
        assert done.returncode == 2, done
        assert "trap:" in done.stderr and "--trust-code" in done.stderr, done
    assert not (here / "sprung").exists()
    done = distnn("train", run, "--out", "run", cwd=here)
    assert done.returncode == 2, done
    assert (here / "sprung").exists(), "the run file that is trained by is the user's own"


def test_what_is_no_code_needs_no_trust(here: Path) -> None:
    given = to_dict(settings(model={"layers": [{"kind": "distnn.layers:Dense", "units": 10}]}))
    run = run_file(here / "run.toml", model=given["model"])
    assert distnn("graph", run, cwd=here).returncode == 0
