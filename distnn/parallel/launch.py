"""The communicator of all ranks that were launched together; and a launch that isn't what it seems, refused."""

from __future__ import annotations

import re
import socket
from typing import Any

from distnn import runtime
from distnn.errors import LaunchError, complain


def library_name(version: str) -> str:
    """The name and number in MPI_Get_library_version's text: "MPICH 5.0.2", "Open MPI v5.0.11"."""
    return re.sub(r"\s*Version:\s*", " ", version.strip().splitlines()[0].split(", package")[0])


def communicator() -> Any:
    """The communicator of all ranks; None, with one line of warning, without an MPI library.

    Raises:
        LaunchError: if a launcher promised several ranks and each sees only itself, or couldn't but end.
    """
    try:
        import mpi4py

        # The import shall not start MPI: an MPICH that can't speak with the launcher ends the process there.
        mpi4py.rc.initialize, mpi4py.rc.finalize = False, True
        from mpi4py import MPI
    except (ImportError, RuntimeError) as error:
        _refuse_lonely(f"no MPI library could be loaded ({str(error).splitlines()[0]})")
        complain("distnn: warning: no MPI library found, so this is a single rank; for more: pip install 'distnn[mpi]'")
        return None
    if not MPI.Is_initialized():
        library, promise = MPI.Get_library_version(), runtime.promised()
        if promise and promise.variable.startswith("OMPI_") and library.startswith("MPICH") and "pmix" not in library:
            # MPICH without PMIx under Open MPI's mpiexec: MPI_Init would end the process without a reason.
            _refuse_lonely(f"the MPI library in use is {library_name(library)}")
        MPI.Init_thread()
    if MPI.COMM_WORLD.size == 1:
        _refuse_lonely(f"the MPI library in use is {library_name(MPI.Get_library_version())}")
    return MPI.COMM_WORLD


def _refuse_lonely(cause: str) -> None:
    """Refuse a launch of several ranks that don't see each other: each would train the whole run by itself."""
    promise = runtime.promised()
    if promise is None or promise.ranks == 1:
        return
    raise LaunchError(
        f"{promise.launcher} promised {promise.ranks} ranks ({promise.variable}={promise.ranks}), but this process "
        f"sees only itself, on host {socket.gethostname()}: {cause}. The launcher and the MPI library must belong "
        f"together: use the mpiexec of that library; under Slurm start with srun and the plugin it speaks "
        f"(--mpi=pmi2 for MPICH, --mpi=pmix for Open MPI, --mpi=cray_shasta on a Cray); for a single rank on "
        f"purpose, say so: srun -n 1 or mpiexec -n 1."
    )
