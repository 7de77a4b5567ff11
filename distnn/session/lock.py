"""One run, one writer: a run's folder is locked for as long as the run lasts.

The file ``lock`` in the folder says who has it. Whether that one still lives the kernel knows (flock, which NFS and
Lustre pass on to their servers): such a lock dies with its owner. Where a file system has no locks, or only those of
one host, there is the owner's heartbeat, for it touches the file every few seconds: who comes later watches whether it
does. The file goes with its run; one that a killed run left is taken over. Its owner reads it at each touch, too: a run
whose folder another one has taken by force ends.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import socket
import threading
import time
import uuid
from contextlib import suppress
from pathlib import Path

from distnn.errors import DistnnError, RunFileError
from distnn.session.records import Listener, StepRecord

NAME = "lock"
#: How often the owner touches the file. Seconds.
INTERVAL = 2.0
#: How long somebody else watches the file before its owner counts as dead. Seconds.
WATCH = 10 * INTERVAL
#: Where there are no locks two may take the file at once: how long each waits to see whose name stays in it. Seconds.
SETTLING = 1.0
#: What file systems without locks answer.
UNSUPPORTED = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL, errno.EIO)
#: The variables in which batch systems name a job.
JOBS = ("SLURM_JOB_ID", "PBS_JOBID", "LSB_JOBID", "PJM_JOBID", "FLUX_JOB_ID")


class FolderLock(Listener):
    """The lock of a run's folder, from its making until `release`, or the end of this process.

    Arguments:
        folder: an existing folder.
        force: take it, whoever has it.
        token: of the lock of this same run, which another rank had before.

    Attributes:
        token: what tells this run from others.

    Raises:
        RunFileError: another run has it, with what is known of that one; or nothing can be written there.
    """

    def __init__(self, folder: Path, *, force: bool = False, token: str = "") -> None:
        self.path, self.token, self.interval = folder / NAME, token or uuid.uuid4().hex, INTERVAL
        self._lost = ""
        try:
            while (file := self._take(force=force)) is None:
                pass
        except OSError as error:
            raise unwritable(folder, error) from error
        self._file: int = file
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="lock", daemon=True)
        self._thread.start()

    def _take(self, *, force: bool) -> int | None:
        """The file, open, locked and with this run's name in it; None if its owner has removed it meanwhile."""
        file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
        try:
            locked, owner = _lock(file), _read(file)
            if not force and owner.get("token") != self.token:
                here = owner.get("host") == socket.gethostname()
                if locked is False or (owner and not (locked and here) and _beats(self.path)):
                    raise _refusal(self.path, owner)
            if not _same(file, self.path):
                os.close(file)
                return None
            self._write(file)
            if locked is None:
                time.sleep(SETTLING)
                if (owner := _read(file)).get("token") != self.token:
                    raise _refusal(self.path, owner)
        except BaseException:
            with suppress(OSError):
                os.close(file)
            raise
        return file

    def _write(self, file: int) -> None:
        owner = {
            "host": socket.gethostname(),
            "process": os.getpid(),
            "job": next((os.environ[name] for name in JOBS if name in os.environ), ""),
            "since": time.strftime("%Y-%m-%d %H:%M:%S %z"),
            "token": self.token,
        }
        os.ftruncate(file, 0)
        os.pwrite(file, json.dumps(owner).encode() + b"\n", 0)
        os.fsync(file)

    def _beat(self) -> None:
        """Touch the file, for as long as it is this run's."""
        while not self._lost and not self._over.wait(INTERVAL):
            try:
                os.utime(self._file)
                with open(self.path, "rb") as file:
                    owner = _read(file.fileno())
            except FileNotFoundError:
                self._lost = "the lock is gone: another run has had it and has ended, or it was removed"
            except OSError:  # a server that doesn't answer for a while
                continue
            else:
                if owner.get("token", self.token) != self.token:
                    self._lost = f"{_who(owner)} has taken it with --force"

    def stepped(self, record: StepRecord) -> None:
        """Some steps are done.

        Raises:
            DistnnError: the folder is no longer this run's.
        """
        if self._lost:
            raise DistnnError(
                f"the output folder {self.path.parent} is no longer this run's: {self._lost}. The run ends, and writes "
                f"no more there; what it has trained since its last checkpoint is lost."
            )

    def release(self) -> None:
        """Leave the folder to others; safe to call twice."""
        if self._over.is_set():
            return
        self._over.set()
        self._thread.join()
        with suppress(OSError):
            if _same(self._file, self.path) and _read(self._file).get("token") == self.token:
                os.unlink(self.path)
        os.close(self._file)


def _lock(file: int) -> bool | None:
    """Whether the kernel gives this process the lock; None where the file system has none."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in UNSUPPORTED:
            return None
        if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
            return False
        raise
    return True


def _read(file: int) -> dict[str, object]:
    """What the file says of its owner; nothing for a file without one."""
    try:
        owner = json.loads(os.pread(file, 4096, 0))
    except ValueError:
        return {}
    return owner if isinstance(owner, dict) else {}


def _beats(path: Path) -> bool:
    """Whether somebody touches the file; opened anew each time, for network file systems look at the server then."""
    with suppress(FileNotFoundError):  # its owner has ended in order
        first, end = _stamp(path), time.monotonic() + WATCH
        while time.monotonic() < end:
            time.sleep(INTERVAL / 4)
            if _stamp(path) != first:
                return True
    return False


def _stamp(path: Path) -> tuple[int, int]:
    with open(path, "rb") as file:
        status = os.fstat(file.fileno())
    return status.st_ino, status.st_mtime_ns


def _same(file: int, path: Path) -> bool:
    """Whether the open file is still the one at ``path``."""
    try:
        return os.path.samestat(os.fstat(file), os.stat(path, follow_symlinks=False))
    except FileNotFoundError:
        return False


def unwritable(folder: Path, error: OSError) -> RunFileError:
    """The error for a run's folder in which nothing can be written."""
    return RunFileError(f"the output folder {folder} can't be written to: {error.strerror}. Choose another with --out.")


def _who(owner: dict[str, object]) -> str:
    """The owner as a text."""
    if not owner:
        return "another run, which is just starting,"
    job = f", job {owner['job']}" if owner.get("job") else ""
    return f"another run (process {owner.get('process')} on {owner.get('host')}{job}, since {owner.get('since')})"


def _refusal(path: Path, owner: dict[str, object]) -> RunFileError:
    return RunFileError(
        f"the output folder {path.parent} is in use: {_who(owner)} writes there. Wait for its end, or choose another "
        f"folder with --out. If that run is dead for certain, take the folder over with --force."
    )
