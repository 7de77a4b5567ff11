"""`distnn` on the ranks of a real launch, each a process that finds everything imported (see `tests.support.forked`).

    result = warm(3, ["train", "run.toml", "--out", "run"], launcher="mpich")

The launcher starts small processes (`tests.support.rank`), which hand on all that they were given, the launcher's own
descriptor as well, to a server of forks: one for each MPI library. A fork starts MPI itself, as any rank does. If the
small process is killed, so is its fork.
"""

from __future__ import annotations

import contextlib
import fcntl
import importlib
import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from tests.support import forked
from tests.support.launch import REPOSITORY, Result, environment, mpiexec, openmpi
from tests.support.rank import PMI

RANK = Path(__file__).with_name("rank.py")
#: Seconds that a server may take to start on a busy machine.
START = 120


def warm(
    n: int,
    arguments: Sequence[str | Path],
    *,
    launcher: str = "mpich",
    module: str = "distnn.cli.main",
    timeout: float = 240,
    cwd: str | Path | None = None,
) -> Result:
    """Run the ``main`` of a module with these arguments on ``n`` ranks to its end, as `mpiexec` does."""
    return mpiexec(n, [*rank(launcher, module), *arguments], launcher=launcher, timeout=timeout, cwd=cwd)


def rank(launcher: str = "mpich", module: str = "distnn.cli.main") -> list[str | Path]:
    """The command of a rank of such a launch, or of a process without one; arguments follow."""
    return [sys.executable, "-I", "-S", RANK, server("mpich" if launcher == "mpich" else "openmpi"), module]


@cache
def server(launcher: str) -> Path:
    """The socket of this process's server for a launcher's MPI library; it ends with this process."""
    path = Path(tempfile.mkdtemp(prefix="warm-"), "socket")
    ours, its = os.pipe()
    # Open MPI's launcher sets its ranks the path by which they find the library.
    libraries = {} if launcher == "mpich" else {"LD_LIBRARY_PATH": str(openmpi() / "lib")}
    subprocess.Popen(
        [sys.executable, "-m", "tests.support.warm", str(path), str(ours)],
        stdin=subprocess.DEVNULL,
        env=environment(launcher, libraries),
        cwd=REPOSITORY,
        pass_fds=[ours],
    )
    os.close(ours)
    _PIPES.append(its)
    deadline = time.monotonic() + START
    while not path.exists():
        assert time.monotonic() < deadline, "the server of forks hasn't started"
        time.sleep(0.02)
    return path


#: Kept open for as long as this process lives, by which a server knows.
_PIPES: list[int] = []


class Server:
    """Forks for each rank that asks, tells it the fork's end, and kills the forks of those that are gone."""

    def __init__(self, path: str, owner: int) -> None:
        self._owner = owner
        self._forks: dict[int, socket.socket] = {}
        self._selector = selectors.DefaultSelector()
        self._ended = os.pipe()
        os.set_blocking(self._ended[1], False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self._ended[1])
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(f"{path}.new")
        self._listener.listen(64)
        os.rename(f"{path}.new", path)
        for source in (owner, self._ended[0], self._listener):
            self._selector.register(source, selectors.EVENT_READ)

    def serve(self) -> list[str]:
        """Serve until nobody is there who may ask; returns, in a fork, its arguments."""
        while True:
            for key, _ in self._selector.select():
                if key.fileobj == self._owner:
                    sys.exit(0)
                elif key.fileobj == self._ended[0]:
                    os.read(self._ended[0], 4096)
                    self._bury()
                elif key.fileobj == self._listener:
                    rank, _ = self._listener.accept()
                    if (arguments := self._fork(rank)) is not None:
                        return arguments
                else:
                    self._left(key.fileobj)  # type: ignore[arg-type]

    def _fork(self, rank: socket.socket) -> list[str] | None:
        """Fork for a rank; in the fork, its arguments."""
        line, descriptors, _, _ = socket.recv_fds(rank, 32, 8)
        number, _, text = line.partition(b"\n")
        while len(text) < int(number):
            text += rank.recv(1 << 20)
        request = json.loads(text)
        fork = os.fork()
        if fork:
            for descriptor in descriptors:
                os.close(descriptor)
            rank.sendall(f"{fork}\n".encode())
            self._forks[fork] = rank
            self._selector.register(rank, selectors.EVENT_READ)
            return None
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.setpgid(0, 0)
        self._selector.close()
        for each in (rank, self._listener, *self._forks.values()):
            os.close(each.detach())  # its object mustn't close that number once more
        for descriptor in (self._owner, *self._ended):
            os.close(descriptor)
        places = [0, 1, 2, *([int(request["env"][PMI])] if PMI in request["env"] else [])]
        safe = [fcntl.fcntl(descriptor, fcntl.F_DUPFD, 1 + max(*places, *descriptors)) for descriptor in descriptors]
        for descriptor, place in zip(safe, places, strict=True):
            os.dup2(descriptor, place)
        for descriptor in {*safe, *descriptors} - {*places}:
            os.close(descriptor)
        return forked.become(request)

    def _bury(self) -> None:
        """Tell the ranks whose forks have ended."""
        while self._forks:
            fork, status = os.waitpid(-1, os.WNOHANG)
            if not fork:
                return
            rank = self._forks.pop(fork)
            with contextlib.suppress(OSError):  # the rank may be gone
                rank.sendall(f"{os.waitstatus_to_exitcode(status)}\n".encode())
            self._selector.unregister(rank)
            rank.close()

    def _left(self, rank: socket.socket) -> None:
        """A rank has been killed: so is its fork, which is buried then."""
        fork = next(fork for fork, each in self._forks.items() if each is rank)
        os.kill(fork, signal.SIGKILL)


if __name__ == "__main__":
    forked.import_all()
    module, *arguments = Server(sys.argv[1], int(sys.argv[2])).serve()
    importlib.import_module(module).main(arguments)
