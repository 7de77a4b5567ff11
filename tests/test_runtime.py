"""What is settled before numpy loads: threads, the BLAS kernel, and the launcher's promise."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from distnn import runtime
from distnn.runtime import Promise, blas_kernel, crowded, launch_rank, promised, ranks_on_node, thread_choice
from tests.support.launch import environment

AVX512 = {"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl", "avx2"}


@pytest.mark.parametrize(
    ("environ", "cores", "node_cores", "count", "reason"),
    [
        ({}, 8, 8, 8, "8 cores for 1 rank"),
        ({"OMP_NUM_THREADS": "3"}, 8, 8, 3, "OMP_NUM_THREADS is set"),
        ({"OPENBLAS_NUM_THREADS": "2", "SLURM_CPUS_PER_TASK": "4"}, 8, 8, 2, "OPENBLAS_NUM_THREADS is set"),
        ({"SLURM_CPUS_PER_TASK": "4"}, 8, 8, 4, "SLURM_CPUS_PER_TASK"),
        ({"MPI_LOCALNRANKS": "8"}, 8, 8, 1, "8 cores for 8 ranks"),
        ({"MPI_LOCALNRANKS": "3"}, 8, 8, 2, "8 cores for 3 ranks"),
        ({"MPI_LOCALNRANKS": "16"}, 8, 8, 1, "8 cores for 16 ranks"),
        # bound by the launcher: two ranks with half of the node each; four that share halves in pairs
        ({"OMPI_COMM_WORLD_LOCAL_SIZE": "2"}, 4, 8, 4, "4 of the node's 8 cores are bound to each rank"),
        ({"OMPI_COMM_WORLD_LOCAL_SIZE": "8"}, 1, 8, 1, "1 of the node's 8 cores are bound to each rank"),
        ({"SLURM_STEP_TASKS_PER_NODE": "4(x2),2", "SLURM_NODEID": "2"}, 8, 8, 4, "8 cores for 2 ranks"),
    ],
)
def test_threads_and_their_reason(environ, cores, node_cores, count, reason):
    choice = thread_choice(environ, cores=cores, node_cores=node_cores)
    assert (choice.count, choice.reason) == (count, reason)


@pytest.mark.parametrize(
    ("ranks", "cores", "node_cores", "shared"),
    [(1, 1, 64, False), (2, 2, 2, False), (3, 2, 2, True), (4, 2, 64, False), (64, 1, 64, False), (128, 64, 64, True)],
)
def test_whether_ranks_share_cores(ranks, cores, node_cores, shared):
    assert crowded({"MPI_LOCALNRANKS": str(ranks)}, cores=cores, node_cores=node_cores) == shared


@pytest.mark.parametrize(("ranks", "expected"), [("1", "None"), ("4096", "1")])
def test_importing_distnn_has_ranks_that_share_cores_sleep_while_they_wait(ranks, expected):
    script = "import os, distnn; print(os.environ.get('MPIR_CVAR_ENABLE_HEAVY_YIELD'))"
    unset = {"MPIR_CVAR_ENABLE_HEAVY_YIELD": None, "MPI_LOCALNRANKS": ranks}
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, env=environment("none", unset)
    )
    assert done.stdout.strip() == expected


def test_ranks_on_node_reads_slurms_list():
    listed = {"SLURM_STEP_TASKS_PER_NODE": "128(x2),3"}
    assert [ranks_on_node(listed | {"SLURM_NODEID": str(node)}) for node in range(4)] == [128, 128, 3, 1]


@pytest.mark.parametrize(
    ("flags", "vendor", "environ", "kernel"),
    [
        (AVX512, "AuthenticAMD", {}, "SKYLAKEX"),
        (AVX512, "AuthenticAMD", {"OPENBLAS_CORETYPE": "ZEN"}, None),
        (AVX512, "GenuineIntel", {}, None),
        (AVX512 - {"avx512bw"}, "AuthenticAMD", {}, None),
        ({"avx2"}, "AuthenticAMD", {}, None),
    ],
)
def test_the_kernel_is_chosen_only_where_openblas_errs(flags, vendor, environ, kernel):
    assert blas_kernel(flags, vendor, environ) == kernel


def test_the_innermost_launcher_counts():
    inside = {"SLURM_NTASKS": "8", "PMI_SIZE": "2", "PMI_RANK": "1"}
    assert promised(inside) == Promise(2, "PMI_SIZE", "the PMI launcher (MPICH's mpiexec or srun)", 1)
    assert launch_rank(inside) == 1
    assert promised({"SLURM_NTASKS": "8"}).ranks == 8
    assert launch_rank({"SLURM_NTASKS": "8"}) == 0
    assert promised({}) is None
    assert launch_rank({}) == 0


def test_importing_distnn_sets_the_threads_before_numpy_reads_them():
    code = (
        "import distnn, numpy, threadpoolctl;"
        "print(distnn.THREADS.count, [p['num_threads'] for p in threadpoolctl.threadpool_info()])"
    )
    environ = {k: v for k, v in os.environ.items() if k not in runtime.THREAD_VARIABLES}
    one = subprocess.run(
        [sys.executable, "-c", code],
        env=environ | {"MPI_LOCALNRANKS": "64"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert one.stdout.split(None, 1)[0] == "1"
    assert set(one.stdout.split(None, 1)[1].strip("[]\n").split(", ")) == {"1"}


def test_importing_distnn_is_light():
    heavy = ("pydantic", "click", "rich", "matplotlib", "scipy")
    code = f"import sys, distnn; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
