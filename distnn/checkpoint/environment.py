"""The environment of a run, stored in its checkpoints: versions, CPU, BLAS and MPI."""

from __future__ import annotations

import functools
import platform
import re
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import h5py
import numpy as np

import distnn
from distnn.parallel.communicator import Communicator
from distnn.parallel.threads import blas_threads
from distnn.runtime import VERSION


def cpu() -> str:
    """The CPU's name."""
    try:
        match = re.search(
            r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(encoding="utf-8"), flags=re.MULTILINE
        )
    except OSError:
        match = None
    return match[1] if match else platform.processor() or platform.machine()


def blas() -> str:
    """The BLAS that numpy uses, its version and the kernels it chose."""
    import threadpoolctl

    pools = [pool for pool in threadpoolctl.threadpool_info() if pool["user_api"] == "blas"]
    # Others have a BLAS of their own: scipy, which numba loads, or PyTorch. numpy's wheels have theirs in numpy.libs.
    pools.sort(key=lambda pool: "numpy" not in pool["filepath"])
    return next(
        (f"{pool['internal_api']} {pool['version']} ({pool.get('architecture', 'unknown kernel')})" for pool in pools),
        "",
    )


@functools.cache
def numba() -> str:
    """numba's version, without importing it; empty if it isn't installed."""
    try:
        return version("numba")
    except PackageNotFoundError:
        return ""


def versions() -> dict[str, str]:
    """The versions of what computes and reads, which all ranks must have alike."""
    return {"distnn": distnn.__version__, "numpy": np.__version__, "numba": numba(), "h5py": h5py.__version__}


def environment(comm: Communicator) -> dict[str, str]:
    """Versions of distnn, Python, numpy and numba, CPU, BLAS, BLAS threads, MPI, ranks and hosts, by name."""
    return {
        "distnn": VERSION,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "numba": numba(),
        "cpu": cpu(),
        "blas": blas(),
        "threads": str(blas_threads.now.count),
        "mpi": comm.library,
        "ranks": str(comm.size),
        "hosts": str(len(set(comm.hosts))),
    }


#: The parts of an environment on which the bits of a result may depend, beside the run file; those of compiled products
#: depend on numba.
BITS = ("cpu", "blas", "threads", "numpy", "numba")


def differences(before: Mapping[str, str], now: Mapping[str, str]) -> str:
    """The parts of `BITS` that differ between two environments, as a text; empty if none does."""
    return "; ".join(
        f"{name} was {before.get(name, 'unknown') or 'none'} and is {now.get(name, 'unknown') or 'none'}"
        for name in BITS
        if before.get(name) != now.get(name)
    )
