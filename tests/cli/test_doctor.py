"""``distnn doctor`` under real launches: good ones, crowded ones, and one in which every rank is alone."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path

import pytest

from tests.support.launch import launchers, mpiexec
from tests.support.runs import DISTNN, distnn
from tests.support.warm import warm


def test_a_single_process(tmp_path: Path) -> None:
    result = distnn("doctor", tmp_path)
    assert result.returncode == 0, result
    assert f"{socket.gethostname()}" in result.stdout
    assert "1 rank on 1 node" in result.stdout
    assert f"locks in {tmp_path}: they work" in result.stdout
    assert "Allreduce" not in result.stdout  # nobody to reduce with
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("launcher", launchers())
def test_several_ranks(launcher: str, tmp_path: Path) -> None:
    result = warm(2, ["doctor", tmp_path, "--json"], launcher=launcher)
    assert result.returncode == 0, result
    found = json.loads(result.stdout)
    assert [rank["rank"] for rank in found["ranks"]] == [0, 1]
    assert found["nodes"] == [[0, 1]]
    for rank in found["ranks"]:
        assert 0.1 < rank["sgemm"] < 1e5
        assert 0.1 < rank["copy"] < 1e5
        assert rank["threads"] >= 1
    assert [size for size, _ in found["allreduce"]] == [8, 65536, 4194304]
    assert all(0 < seconds < 10 for _, seconds in found["allreduce"])
    assert {"mpich": "MPICH", "openmpi": "Open MPI"}[launcher] in found["mpi"]
    assert Path(found["mpi_path"]).is_file()
    assert isinstance(found["advice"], list)


def test_two_ranks_on_one_core_are_told(tmp_path: Path) -> None:
    core = min(os.sched_getaffinity(0))
    result = mpiexec(2, ["taskset", "-c", str(core), *DISTNN, "doctor", tmp_path])
    assert result.returncode == 0, result
    assert "2 ranks with 2 threads in all on 1 core take turns" in result.stdout
    assert "2 ranks on 1 node" in result.stdout
    assert result.stdout.count("GFLOP/s") == 1, "rank 0 alone prints"


def test_threads_for_more_cores_than_there_are(tmp_path: Path) -> None:
    result = mpiexec(2, [*DISTNN, "doctor", tmp_path], env={"OMP_NUM_THREADS": str(os.cpu_count())})
    assert f"2 ranks with {2 * (os.cpu_count() or 1)} threads in all" in result.stdout, result


def test_a_rank_that_is_alone_against_the_promise_is_told_why(tmp_path: Path) -> None:
    result = distnn("doctor", tmp_path, env={"SLURM_NTASKS": "2", "SLURM_STEP_NUM_TASKS": "2", "SLURM_PROCID": "0"})
    assert result.returncode == 2, result
    assert "srun promised 2 ranks (SLURM_STEP_NUM_TASKS=2), but this process sees only itself" in result.stderr


def test_a_folder_that_is_not_there() -> None:
    result = distnn("doctor", "/absent")
    assert result.returncode == 2, result
    assert "/absent" in result.stderr
