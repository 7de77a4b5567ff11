"""What must be set before numpy loads: the BLAS kernel, its threads, and what the launcher promised.

Imports only the standard library: a BLAS reads its environment once, when numpy first loads it.
"""

from __future__ import annotations

import contextlib
import functools
import os
import re
import signal
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

#: The version of distnn.
VERSION = "0.1.0"

#: The variables from which the BLAS libraries that numpy uses read their thread count.
THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS")

#: (variable with the number of ranks, variable with this rank's number, the launcher), the innermost launcher first.
LAUNCHERS = (
    ("OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_RANK", "Open MPI's mpiexec"),
    ("PMI_SIZE", "PMI_RANK", "the PMI launcher (MPICH's mpiexec or srun)"),
    ("SLURM_STEP_NUM_TASKS", "SLURM_PROCID", "srun"),
    ("SLURM_NTASKS", "", "the Slurm allocation"),
)


@dataclass(frozen=True)
class Promise:
    """What a launcher announced."""

    ranks: int
    variable: str  #: with their number
    launcher: str
    rank: int | None  #: this one; None if these ranks are only allocated, as to a job's own script


@dataclass(frozen=True)
class Threads:
    """The BLAS threads of this rank, the reason for the number, and whether it was derived from the cores."""

    count: int
    reason: str
    derived: bool = False


def promised(environ: Mapping[str, str] = os.environ) -> Promise | None:
    """The promise of the innermost launcher in ``environ``; None if no launcher started this process."""
    for size, rank, launcher in LAUNCHERS:
        if environ.get(size, "").isdigit():
            return Promise(int(environ[size]), size, launcher, int(environ.get(rank) or 0) if rank else None)
    return None


def launch_rank(environ: Mapping[str, str] = os.environ) -> int:
    """This process's rank according to its launcher, known before MPI starts; 0 if no launcher started it."""
    promise = promised(environ)
    return (promise and promise.rank) or 0


def launched_ranks(environ: Mapping[str, str] = os.environ) -> int:
    """How many ranks a launcher has started, this process among them; 1 where none did, as in a job's own script."""
    promise = promised(environ)
    return 1 if promise is None or promise.rank is None else promise.ranks


def ranks_on_node(environ: Mapping[str, str] = os.environ) -> int:
    """The number of ranks on this node according to the launcher; 1 if it doesn't say."""
    for variable in ("OMPI_COMM_WORLD_LOCAL_SIZE", "MPI_LOCALNRANKS"):
        if environ.get(variable, "").isdigit():
            return int(environ[variable])
    # Slurm writes "4(x2),3": four tasks on each of the first two nodes, then three.
    counts: list[int] = []
    for part in environ.get("SLURM_STEP_TASKS_PER_NODE", "").split(","):
        if match := re.fullmatch(r"(\d+)(?:\(x(\d+)\))?", part):
            counts += [int(match[1])] * int(match[2] or 1)
    node = environ.get("SLURM_NODEID", "0")
    return counts[int(node)] if node.isdigit() and int(node) < len(counts) else 1


def thread_choice(
    environ: Mapping[str, str] = os.environ, *, cores: int | None = None, node_cores: int | None = None
) -> Threads:
    """The number of BLAS threads for this rank.

    It is the user's OMP_NUM_THREADS (or the BLAS's own variable) if that is set, else SLURM_CPUS_PER_TASK, else the
    cores that this process may use, divided by the ranks that share them. Each rank is taken to have cores of its own
    if all ranks' sets of cores together fit into the node.

    Arguments:
        environ: the environment to read.
        cores: the cores this process may run on (its affinity mask); read from the system if None.
        node_cores: all cores of the node; read from the system if None.
    """
    for variable in THREAD_VARIABLES:
        if environ.get(variable, "").isdigit() and int(environ[variable]) > 0:
            return Threads(int(environ[variable]), f"{variable} is set")
    if environ.get("SLURM_CPUS_PER_TASK", "").isdigit():
        return Threads(int(environ["SLURM_CPUS_PER_TASK"]), "SLURM_CPUS_PER_TASK")
    cores, node_cores = _cores(cores, node_cores)
    ranks = ranks_on_node(environ)
    if _bound(ranks, cores, node_cores):
        return Threads(cores, f"{cores} of the node's {node_cores} cores are bound to each rank", True)
    return Threads(max(1, cores // ranks), f"{cores} cores for {ranks} rank{'s' if ranks > 1 else ''}", True)


def _cores(cores: int | None, node_cores: int | None) -> tuple[int, int]:
    """Those that this process may run on and all of the node's, as far as they aren't given."""
    if cores is None:
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return cores, node_cores or os.cpu_count() or cores


def _bound(ranks: int, cores: int, node_cores: int) -> bool:
    """Whether each rank has cores of its own."""
    return ranks > 1 and ranks * cores <= node_cores and cores < node_cores


def crowded(
    environ: Mapping[str, str] = os.environ, *, cores: int | None = None, node_cores: int | None = None
) -> bool:
    """Whether ranks have to share cores: there are more of them on the node. The arguments are `thread_choice`'s."""
    cores, node_cores = _cores(cores, node_cores)
    ranks = ranks_on_node(environ)
    return ranks > cores and not _bound(ranks, cores, node_cores)


def blas_kernel(cpu_flags: set[str], vendor: str, environ: Mapping[str, str] = os.environ) -> str | None:
    """The OPENBLAS_CORETYPE to set, or None if OpenBLAS's own choice is right or the user has chosen.

    OpenBLAS 0.3.31 treats AMD cores with AVX-512 that it doesn't know yet as "Haswell" (AVX2): sgemm 2048³ on one Zen 5
    core then ran at 110 GFLOP/s, and at 208 with the AVX-512 kernels of SKYLAKEX.
    """
    needed = {"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"}
    if "OPENBLAS_CORETYPE" in environ or vendor != "AuthenticAMD" or not needed <= cpu_flags:
        return None
    return "SKYLAKEX"


def kernel_says(path: str) -> str:
    """The text of a file in /proc or /sys; empty where there is none."""
    try:
        return Path(path).read_text(encoding="utf-8")
    except OSError:
        return ""


def processor() -> tuple[set[str], str]:
    """The first processor's feature flags and vendor, from /proc/cpuinfo; empty if that doesn't exist."""
    text = kernel_says("/proc/cpuinfo").split("\n\n", 1)[0]
    fields = dict(re.findall(r"^(\w+)\s*:\s*(.*)$", text, flags=re.MULTILINE))
    return set(fields.get("flags", "").split()), fields.get("vendor_id", "")


@functools.cache
def prepare() -> Threads:
    """Set the BLAS's and MPI's environment for this rank; this has no effect on what is already loaded.

    Returns the thread count and its reason: always those of the first call, when distnn is imported.
    """
    threads = thread_choice()
    if crowded():
        # MPICH, which reads it when it starts, has ranks that wait sleep then, instead of taking turns with those that
        # work: four ranks on two cores train 1.6 times as fast.
        os.environ.setdefault("MPIR_CVAR_ENABLE_HEAVY_YIELD", "1")
    if "numpy" not in sys.modules:
        flags, vendor = processor()
        if kernel := blas_kernel(flags, vendor):
            os.environ["OPENBLAS_CORETYPE"] = kernel
        for variable in THREAD_VARIABLES:
            os.environ.setdefault(variable, str(threads.count))
    return threads


#: The threads that this process may keep busy, once that is known better than at its launch.
_CORES: list[int] = []


def use_cores(count: int) -> None:
    """Let this process keep so many threads busy beside each other."""
    _CORES[:] = [count]


def cores() -> int:
    """How many threads this process may keep busy: its cores, of which other ranks have none."""
    return _CORES[0] if _CORES else prepare().count


#: Names of the signals that asked a training to stop before it could handle them.
EARLY: list[str] = []


def note_signals() -> None:
    """Record SIGUSR1 in `EARLY` from now on, instead of letting it end a process whose training hasn't begun.

    A batch system may send it to a job that has just started. SIGTERM still ends a process that hangs at its start.
    """
    with contextlib.suppress(ValueError):  # only the main thread may set handlers
        signal.signal(signal.SIGUSR1, lambda number, _: EARLY.append(signal.Signals(number).name))


def set_threads(count: int) -> None:
    """Give every BLAS loaded so far ``count`` threads, for a count that is known only after numpy has loaded."""
    import threadpoolctl

    threadpoolctl.threadpool_limits(limits=count, user_api="blas")
