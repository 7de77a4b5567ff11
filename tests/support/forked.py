"""`distnn` as a process that finds everything imported: a fork of one that has done that once.

    done = forked(["inspect", "run"], cwd=folder, env=environment("none"), timeout=60)
    assert done.returncode == 0, done.stderr

Most of a short command's time is imports. A fork is a process of its own like any other, with its own standard streams,
folder, environment, signals, MPI and exit code; only when a module is imported, and what the BLAS's environment was
then, are the server's. A request is a line of JSON on a socket; the answer is the process's number, then its exit code.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import pkgutil
import select
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any


def forked(
    arguments: Sequence[str], *, cwd: str | Path | None, env: Mapping[str, str], timeout: float
) -> subprocess.CompletedProcess[str]:
    """Run ``distnn`` with these arguments to its end.

    Raises:
        subprocess.TimeoutExpired: after ``timeout`` seconds; the process has been killed.
    """
    command = ["distnn", *arguments]
    with tempfile.TemporaryDirectory(prefix="forked-") as folder:
        outputs = [Path(folder, name) for name in ("stdout", "stderr")]
        request = {"arguments": [*arguments], "cwd": str(cwd or Path.cwd()), "env": dict(env)}
        code = _answer(request | {"outputs": [str(path) for path in outputs]}, timeout)
        if code is None:
            raise subprocess.TimeoutExpired(command, timeout)
        return subprocess.CompletedProcess(command, code, *(path.read_text() for path in outputs))


def _answer(request: Mapping[str, Any], timeout: float) -> int | None:
    """The exit code of the process that the server forks for a request; None if it had to be killed."""
    server = _server()
    server.sendall(json.dumps(request).encode() + b"\n")
    number = _number(server)
    if select.select([server], [], [], timeout)[0]:
        return _number(server)
    os.kill(number, signal.SIGKILL)
    _number(server)
    return None


def _number(server: socket.socket) -> int:
    """The line that comes next."""
    line = b""
    while not line.endswith(b"\n"):
        byte = server.recv(1)
        assert byte, "the server of forks has ended"
        line += byte
    return int(line)


@cache
def _server() -> socket.socket:
    """The socket of this process's server, which is started with the first request and ends with this process."""
    from tests.support.launch import REPOSITORY, environment

    mine, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    subprocess.Popen(
        [sys.executable, "-m", "tests.support.forked", str(its.fileno())],
        stdin=subprocess.DEVNULL,
        env=environment("none"),
        cwd=REPOSITORY,
        pass_fds=[its.fileno()],
    )
    its.close()
    return mine


def import_all() -> None:
    """Import what the commands import, but start no MPI."""
    import mpi4py

    import distnn.cli
    import distnn.kernels.compiled

    mpi4py.rc.initialize, mpi4py.rc.finalize = False, True
    names = [f"distnn.cli.{module.name}" for module in pkgutil.iter_modules(distnn.cli.__path__)]
    names += ["distnn.report.console", "distnn.session.run", "mpi4py.MPI", "numba", "threadpoolctl"]
    for name in names:
        # What is optional, the commands do without, too; an MPI that isn't there they report themselves.
        with contextlib.suppress(ImportError, RuntimeError):
            importlib.import_module(name)
    if "numba" in sys.modules:
        sys.modules["numba"].njit(lambda: 0)()  # imports the larger part of numba
    # Or each fork would copy all of these objects' pages, only to clear them away at its end.
    gc.collect()
    gc.freeze()


def become(request: Mapping[str, Any]) -> list[str]:
    """Make this process the one that was asked for; its arguments."""
    os.environ.clear()
    os.environ.update(request["env"])
    for descriptor, path in enumerate(request.get("outputs", ()), 1):
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(file, descriptor)
        os.close(file)
    os.chdir(request["cwd"])
    sys.path[0] = request["cwd"]  # as `python -m` has it
    sys.argv = ["distnn", *request["arguments"]]
    return list(request["arguments"])


def serve(descriptor: int) -> list[str]:
    """Fork for each request, until nobody is there who may ask; returns, in the forked process, its arguments."""
    connection = socket.socket(fileno=descriptor)
    for line in connection.makefile("rb"):
        request = json.loads(line)
        number = os.fork()
        if not number:
            connection.close()
            return become(request)
        connection.sendall(f"{number}\n".encode())
        _, status = os.waitpid(number, 0)
        connection.sendall(f"{os.waitstatus_to_exitcode(status)}\n".encode())
    sys.exit(0)


if __name__ == "__main__":
    import_all()
    arguments = serve(int(sys.argv[1]))
    from distnn.cli.main import main

    main(arguments)
