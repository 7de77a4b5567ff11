"""When a rank dies and the others live on: what MPI says of it, and a communicator of those that are left.

This is User Level Failure Mitigation, which Open MPI 5 has under ``mpirun --with-ft ulfm``: Bland, Bouteiller, Herault,
Bosilca and Dongarra, Post-failure recovery of MPI communication capability: design and rationale, 2013. A rank that
waits for a dead one gets an error. It revokes the communicator, so that whoever waits for anybody in it gets one, too.
All then agree that there was a loss, and shrink the communicator to those that live.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from typing import Any, NoReturn

from distnn.errors import DistnnError, LaunchError

#: How long a death may take to become known. Seconds.
NEWS = 1.0
#: What Open MPI's launcher sets under ``--with-ft ulfm``; without it a lost rank ends all others.
VARIABLE = "OMPI_MCA_mpi_ft_enable"


class LossError(DistnnError):
    """The ranks have agreed that one of them has died."""


def possible(library: str) -> bool:
    """Whether the MPI in use, of this name and version, lets the others live where a rank dies."""
    return library.startswith("Open MPI") and os.environ.get(VARIABLE) == "1"


def require(library: str) -> None:
    """Make sure that this is so.

    Raises:
        LaunchError: if it isn't, with the reason.
    """
    if possible(library):
        return
    reason = f"the MPI library in use, {library}, ends all ranks with it"
    if library.startswith("Open MPI"):
        reason = f"{library} was started without fault tolerance, and then ends all ranks with it"
    raise LaunchError(
        f"parallel.elastic = true goes on where a rank dies, but {reason}. Start with Open MPI 5 as `mpirun --with-ft "
        f"ulfm …`; or leave the setting out, and go on from the last checkpoint with --resume auto."
    )


def is_loss(error: BaseException) -> bool:
    """Whether this is what MPI raises where a rank has died, or where another rank has noticed that.

    "Other" is what Open MPI was seen to raise where a rank waited for one that had gone to look after a loss.
    """
    if isinstance(error, LossError):
        return True
    if type(error).__module__.partition(".")[0] != "mpi4py":  # which need not be there
        return False
    from mpi4py import MPI

    told = (MPI.ERR_PROC_FAILED, MPI.ERR_PROC_FAILED_PENDING, MPI.ERR_REVOKED, MPI.ERR_OTHER)
    return isinstance(error, MPI.Exception) and error.Get_error_class() in told


def disturbed(comm: Any) -> bool:
    """Whether a rank has died, or another one has noticed that, as far as is known a second from now.

    Open MPI was seen to let a broadcast succeed with other bytes than were sent, where a rank died in the middle of it.
    """
    deadline = time.monotonic() + NEWS
    while not (known := comm.Is_revoked() or comm.Get_failed().size > 0) and time.monotonic() < deadline:
        time.sleep(0.01)
    return bool(known)


def end(comm: Any, code: int) -> NoReturn:
    """End this process such that the others hear of it, and the job ends with a code that isn't 0.

    MPI_Abort was seen to wait for ever where Open MPI is fault tolerant. A rank that just exits isn't missed by those
    that wait for it; one that is killed is, but the launcher then takes the job for a success unless another one exits.
    """
    if comm.Get_failed().size == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    os._exit(code)


def leave(code: int) -> NoReturn:
    """End this process in order after a loss: MPI_Finalize was seen to wait for the dead for ever."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def agree(comm: Any, good: bool) -> bool:
    """Whether all of the communicator's ranks live, and all say that it is ``good``; the same on all of them."""
    from mpi4py import MPI

    try:
        return bool(comm.Agree(int(good)))
    except MPI.Exception as error:
        if not is_loss(error):
            raise
        return False


def shrink(comm: Any) -> tuple[Any, list[int]]:
    """A communicator of the ranks that live, and which ranks of the former one they were; all of them call it."""
    shrunk = comm.Shrink()
    everyone = range(shrunk.size)
    return shrunk, list(shrunk.group.Translate_ranks(list(everyone), comm.group))
