"""Facts about every rank: where it runs, on which cores, with which libraries, and how fast."""

from __future__ import annotations

import os
import platform
import re
import shutil
import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import perf_counter

import numpy as np

from distnn import runtime
from distnn.checkpoint.environment import blas, cpu
from distnn.data.file.opening import library, locking
from distnn.errors import SharedMemoryError
from distnn.parallel.available import available
from distnn.parallel.communicator import Communicator
from distnn.parallel.memory import NodeMemory
from distnn.parallel.threads import blas_threads
from distnn.parallel.world import World

#: The rows of the square matrices that are multiplied.
ROWS = 1024
#: The elements (float32) that are copied: 64 MiB, more than the caches of a core hold.
COPIED = 1 << 24
#: The bytes that Allreduce sums: for its latency, for a small model, and for a large one.
SIZES = (8, 64 * 1024, 4 * 1024**2)
#: Seconds for each measurement.
SECONDS = 0.3


@dataclass(frozen=True)
class Rank:
    """One rank's facts."""

    rank: int
    host: str  #: its name
    cpus: list[int]  #: the logical processors that it may use
    cores: list[int]  #: the physical cores that these belong to
    node_cores: int  #: the number of physical cores of its host
    threads: int  #: of its BLAS
    reason: str  #: for their number
    cpu: str  #: the name of its processor
    avx512: bool  #: whether the processor has AVX-512
    blas: str  #: that numpy uses
    sgemm: float  #: GFLOP/s of a float32 matrix product while all ranks do the same
    copy: float  #: GB/s read and written by copies while all ranks do the same
    shared: int | None  #: free bytes of what the ranks of a node share, 0 if they can't share memory; None if unknown
    place: str  #: the folder in memory that they share, empty for memory without a name
    locks: str  #: an empty text if HDF5 can lock files in the folder, else what is wrong
    versions: dict[str, str]  #: those that must be the same on all ranks


@dataclass(frozen=True)
class Examination:
    """The facts of all ranks, and what they have in common."""

    ranks: list[Rank]  #: in order
    nodes: list[list[int]]  #: the ranks of each
    mpi: str  #: the library
    mpi_path: str  #: its file
    hdf5: str  #: its version, and whether several ranks can write one file with it
    folder: str  #: in which locks were tried
    allreduce: list[tuple[int, float]]  #: (bytes, seconds) of sums over all ranks


def examine(world: World, folder: Path) -> Examination:
    """Collect the facts and measure the speeds; every rank of ``world`` must call it. Takes about two seconds."""
    comm, heartbeat = world.comm, world.heartbeat
    heartbeat.beat("the measurements")
    sgemm, copy = _sgemm(comm), _copy(comm)
    heartbeat.beat()
    sums = [(size, allreduce(comm, size)) for size in SIZES]
    heartbeat.beat()
    shared, place = _shared(comm)
    cpus = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else list(range(os.cpu_count() or 1))
    versions = {"distnn": runtime.VERSION, "Python": platform.python_version(), "numpy": np.__version__}
    versions |= {"HDF5": library(), "MPI": comm.library}
    mine = Rank(
        rank=comm.rank,
        host=socket.gethostname(),
        cpus=cpus,
        cores=sorted({_core(number) for number in cpus}),
        node_cores=node_cores(),
        threads=blas_threads.now.count,
        reason=blas_threads.now.reason,
        cpu=cpu(),
        avx512="avx512f" in runtime.processor()[0],
        blas=blas(),
        sgemm=sgemm,
        copy=copy,
        shared=shared,
        place=place,
        locks=locking(folder),
        versions=versions,
    )
    return Examination(
        ranks=comm.allgather(mine),
        nodes=comm.nodes,
        mpi=comm.library,
        mpi_path=_mpi_path(),
        hdf5=versions["HDF5"],
        folder=str(folder),
        allreduce=sums,
    )


def times(
    comm: Communicator,
    function: Callable[[], object],
    seconds: float = SECONDS,
    middle: Callable[[list[float]], float] = median,
) -> float:
    """The ``middle`` of the times of a call that all ranks make together, in about ``seconds`` seconds on rank 0."""
    function()
    comm.barrier()
    start = perf_counter()
    function()
    count = int(np.clip(seconds / (perf_counter() - start), 3, 10_000))
    count = comm.bcast(count)
    comm.barrier()
    durations = []
    for _ in range(count):
        start = perf_counter()
        function()
        durations.append(perf_counter() - start)
    return middle(durations)


def _sgemm(comm: Communicator) -> float:
    """GFLOP/s of this rank's matrix products: 2 n³ operations each."""
    a, b, c = (np.full((ROWS, ROWS), 0.5, np.float32) for _ in range(3))
    return 2e-9 * ROWS**3 / times(comm, lambda: np.matmul(a, b, out=c))


def _copy(comm: Communicator) -> float:
    """GB/s that this rank's copies read and write."""
    source, target = np.ones(COPIED, np.float32), np.zeros(COPIED, np.float32)
    return 2e-9 * source.nbytes / times(comm, lambda: np.copyto(target, source))


def allreduce(comm: Communicator, size: int) -> float:
    """Seconds of a sum over the ranks."""
    array = np.zeros(size // 4, np.float32)
    return times(comm, lambda: comm.allreduce(array)) if comm.size > 1 else 0.0


def _shared(comm: Communicator) -> tuple[int | None, str]:
    """Free bytes of what the ranks of a node share, all of its memory or a folder in memory; and that folder."""
    memory = NodeMemory(comm)
    try:
        memory.one(1, np.dtype(np.uint8))
    except SharedMemoryError:
        return 0, ""
    return shutil.disk_usage(memory.place).free if memory.place else available(), memory.place


def node_cores() -> int:
    """The physical cores of this host."""
    return len({_core(number) for number in range(os.cpu_count() or 1)})


def _core(number: int) -> int:
    """The physical core of a logical processor, named by the first of the processors that share it."""
    siblings = runtime.kernel_says(f"/sys/devices/system/cpu/cpu{number}/topology/thread_siblings_list")
    return int(re.split(r"[,-]", siblings)[0]) if siblings else number


def _mpi_path() -> str:
    """The file of the MPI library that this process has loaded; empty if it has loaded none."""
    match = re.search(r"\S*/libmpi(?:_abi|_cray\w*)?\.so\S*", runtime.kernel_says("/proc/self/maps"))
    return match[0] if match else ""
