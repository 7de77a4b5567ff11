"""benchmarks/memory.py and startup.py measure something; how much is not asked, but of what `import distnn` opens."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path


def run(repository: Path, script: str, *arguments: str | Path) -> None:
    command = [sys.executable, repository / "benchmarks" / script, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_step_s_memory(repository: Path, tmp_path: Path) -> None:
    path = tmp_path / "memory.json"
    run(repository, "memory.py", "--cases", "64-512-10@512", "--torch-python", "/bin/false", "--json", path)
    (found,) = json.loads(path.read_text()).values()
    hidden = 512 * 512 * 4  # the activations of the hidden layer, in bytes
    assert hidden < found["distnn"] < 30 * hidden
    assert found["ratio"] is None


def test_importing_distnn_opens_fewer_files_than_what_it_stands_on(repository: Path, tmp_path: Path) -> None:
    path = tmp_path / "startup.json"
    run(repository, "startup.py", "--rounds", "1", "--json", path)
    found = json.loads(path.read_text())
    assert found["numpy, h5py, mpi4py"]["files"] > 100
    assert found["import distnn"]["files"] < 1.2 * found["numpy, h5py, mpi4py"]["files"]
    assert found["distnn train"]["files"] > found["import distnn"]["files"]
