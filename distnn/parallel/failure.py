"""How ranks fail: all of them in order, one that ends the job, or one that dies and leaves the others to go on.

That others go on is User Level Failure Mitigation, which Open MPI 5 has under ``mpirun --with-ft ulfm``: Bland,
Bouteiller, Herault, Bosilca and Dongarra, Post-failure recovery of MPI communication capability: design and rationale,
2013. A rank that waits for a dead one gets an error. It revokes the communicator, so that whoever waits for anybody in
it gets one, too. All then agree that there was a loss, and shrink the communicator to those that live.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import signal
import sys
import time
from collections.abc import Callable
from typing import NoReturn

import numpy as np

from distnn.errors import DistnnError, LaunchError
from distnn.parallel.communicator import Communicator

#: How long a failed rank waits for the others to fail too, before it ends the whole job. Seconds.
PATIENCE = 1.0
#: How long a death may take to become known. Seconds.
NEWS = 1.0
#: What Open MPI's launcher sets under ``--with-ft ulfm``; without it a lost rank ends all others.
VARIABLE = "OMPI_MCA_mpi_ft_enable"


class LossError(DistnnError):
    """The ranks have agreed that one of them has died."""


class Failures:
    """What happens where ranks fail, or die: on every rank of a communicator, each of which has to make it.

    Arguments:
        comm: the ranks.

    Attributes:
        comm: the ranks that live.
        launched: the number that each of them was launched with, which is its rank until others die.
        lost: those that have died so far, by these numbers, with their hosts.
        elastic: whether the others go on where a rank dies.
    """

    def __init__(self, comm: Communicator) -> None:
        self.comm, self.elastic = comm, False
        self.launched, self.lost = list(range(comm.size)), list[str]()
        self._last_acts: list[Callable[[], None]] = []
        self._separate()

    def _separate(self) -> None:
        """Failures meet on a communicator of their own: they must not pair with a collective of the work."""
        self._meeting = self.comm.mpi.Dup() if self.comm.size > 1 else None

    # Failing

    def meet(self, message: str) -> bool | None:
        """After a failure: whether this rank is to report it, or None if the other ranks go on as if nothing was.

        All ranks that fail alike (a bad run file, say) meet here within a second and end in order, the first of them
        reporting for those with the same message. A rank that fails alone has to end the others.

        Arguments:
            message: what failed, in words.
        """
        if self._meeting is None:
            return True
        mine = np.frombuffer(hashlib.blake2b(message.encode(), digest_size=8).digest(), np.uint64)
        everyone = np.zeros(self.comm.size, np.uint64)
        request = self._meeting.Iallgather(mine, everyone)
        deadline = time.monotonic() + PATIENCE
        try:
            while not request.Test():
                if time.monotonic() > deadline:
                    return None
                time.sleep(0.01)
        except Exception as error:
            if is_loss(error):  # not all of them will come
                return None
            raise
        return bool(np.flatnonzero(everyone == mine[0])[0] == self.comm.rank)

    def before_leaving(self, act: Callable[[], None]) -> None:
        """Let this rank do something before it leaves, or ends the job, in failure: a few seconds' work at most."""
        self._last_acts.append(act)

    def prepare_to_leave(self) -> None:
        """Do all of that."""
        for act in self._last_acts:
            with contextlib.suppress(KeyboardInterrupt):  # who interrupts a second time won't wait
                act()

    def leave_together(self) -> None:
        """Wait until every rank that met in failure is here too."""
        if self._meeting is not None:
            self._meeting.Barrier()

    def abort(self, code: int) -> None:
        """End the job on every rank at once, with this exit code; where others go on, this rank alone.

        MPI_Abort was seen to wait for ever where Open MPI is fault tolerant. A rank that just exits isn't missed by
        those that wait for it; one that is killed is, but the launcher then takes the job for a success unless another
        one exits.
        """
        if self.comm.size > 1 and not possible(self.comm.library):
            self.comm.mpi.Abort(code)
        elif self.comm.size > 1 and self.comm.mpi.Get_failed().size == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        os._exit(code)

    def exit(self, code: int) -> NoReturn:
        """End this process in order; after a loss without MPI_Finalize, which was seen to wait for the dead."""
        if self.lost:
            for stream in (sys.stdout, sys.stderr):
                with contextlib.suppress(OSError, ValueError):
                    stream.flush()
            os._exit(code)
        sys.exit(code)

    # Going on where a rank dies

    def make_elastic(self) -> None:
        """Let the other ranks go on where one dies.

        Raises:
            LaunchError: if they can't, with the reason.
        """
        if self.comm.size == 1:
            return
        if not possible(library := self.comm.library):
            reason = f"the MPI library in use, {library}, ends all ranks with it"
            if library.startswith("Open MPI"):
                reason = f"{library} was started without fault tolerance, and then ends all ranks with it"
            raise LaunchError(
                f"parallel.elastic = true goes on where a rank dies, but {reason}. Start with Open MPI 5 as `mpirun "
                f"--with-ft ulfm …`; or leave the setting out, and go on from the last checkpoint with --resume auto."
            )
        self.elastic = True

    def agree(self, good: bool) -> bool:
        """Whether all ranks live, and all say that it is ``good``: the same on all of them.

        A rank that says it isn't ends whatever the others wait for, and so brings them here.
        """
        if self.comm.size == 1:
            return good
        if not good:
            self.comm.revoke()
        try:
            return bool(self.comm.mpi.Agree(int(good)))
        except Exception as error:
            if not is_loss(error):
                raise
            return False

    def confirm(self) -> None:
        """Where ranks may die, make sure that what they have just received can be relied on: that all live.

        Raises:
            LossError: on every rank, if not all do.
        """
        if self.elastic and not self.agree(True):
            raise LossError("a rank has died.")

    def disturbed(self, error: Exception) -> bool:
        """Whether a rank's death may be behind an error, as far as is known a second from now.

        Open MPI was seen to let a broadcast succeed with other bytes than were sent, where a rank died in the middle of
        it.
        """
        if is_loss(error) or self.comm.size == 1:
            return is_loss(error)
        mpi, deadline = self.comm.mpi, time.monotonic() + NEWS
        while not (known := mpi.Is_revoked() or mpi.Get_failed().size > 0) and time.monotonic() < deadline:
            time.sleep(0.01)
        return bool(known)

    def regroup(self) -> Communicator:
        """The ranks that live, which all call it after they have agreed that not all do."""
        former = self.comm
        mpi = former.mpi.Shrink()
        kept = list(mpi.group.Translate_ranks(list(range(mpi.size)), former.mpi.group))
        dead = [rank for rank in range(former.size) if rank not in kept]
        self.lost += [f"rank {self.launched[rank]} (host {former.hosts[rank]})" for rank in dead]
        self.launched = [self.launched[rank] for rank in kept]
        # Before anything that another death can disturb: the ranks agree on that among those that live now.
        self.comm = Communicator(mpi, hosts=[former.hosts[rank] for rank in kept])
        self._last_acts.clear()
        self._separate()
        return self.comm


def possible(library: str) -> bool:
    """Whether the MPI in use, of this name and version, lets the others live where a rank dies."""
    return library.startswith("Open MPI") and os.environ.get(VARIABLE) == "1"


def is_loss(error: BaseException) -> bool:
    """Whether this is what MPI raises where a rank has died, or where another rank has noticed that.

    "Other" is what Open MPI was seen to raise where a rank waited for one that had gone to look after a loss.
    """
    if isinstance(error, LossError):
        return True
    if type(error).__module__.partition(".")[0] != "mpi4py":  # which need not be there
        return False
    from mpi4py import MPI

    classes = (MPI.ERR_PROC_FAILED, MPI.ERR_PROC_FAILED_PENDING, MPI.ERR_REVOKED, MPI.ERR_OTHER)
    return isinstance(error, MPI.Exception) and error.Get_error_class() in classes
