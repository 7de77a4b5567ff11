"""The contenders as running jobs: started once, asleep but for the one that is being measured."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Collection
from pathlib import Path
from typing import Any

from cases import NETWORKS, Case

WORKERS = Path(__file__).resolve().parent / "workers"
REPOSITORY = WORKERS.parents[1]
START_TIMEOUT, ANSWER_TIMEOUT = 120.0, 300.0
#: What an outer launch may have left: a contender must see its own launcher only.
LAUNCHER_VARIABLES = ("PMI", "OMPI_", "PRTE_", "SLURM_", "MPI_LOCAL", "MPIR_", "HYDRA_", "MPIEXEC_")


#: The networks that a contender may have.
ALL = ("mlp", *NETWORKS)


class ContenderError(Exception):
    """A contender that failed, with what it printed."""


def environment(threads: int, **more: str) -> dict[str, str]:
    """For a contender's processes: so many threads of any BLAS, and this checkout's distnn."""
    variables = {name: value for name, value in os.environ.items() if not name.startswith(LAUNCHER_VARIABLES)}
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS")
    return variables | dict.fromkeys(names, str(threads)) | {"PYTHONPATH": str(REPOSITORY)} | more


def mpiexec(given: str | None) -> str:
    """The launcher: the one asked for, else the one beside this Python, else the first on the path.

    Raises:
        ContenderError: if there is none.
    """
    beside = (Path(sys.executable).parent / name for name in ("mpiexec.hydra", "mpiexec"))
    found = given or next((str(path) for path in beside if path.exists()), None) or shutil.which("mpiexec")
    if not found:
        raise ContenderError("there is no mpiexec beside this Python or on the path; cure: pip install '.[mpi]'")
    return found


class Contender:
    """A job of one or several processes, each with its own line to us; a context manager.

    Attributes:
        networks: those of the cases that it has.
        facts: what each process said about itself, by rank.
    """

    def __init__(self, name: str, processes: int, folder: Path, networks: Collection[str] = ALL) -> None:
        self.name, self.processes, self.networks = name, processes, networks
        self._address, self._folder = str(folder / f"{name.replace(' ', '-')}.socket"), folder
        self._jobs: list[subprocess.Popen[bytes]] = []
        self._output = tempfile.TemporaryFile("w+b")  # noqa: SIM115 (closed in close)
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(self._address)
        self._listener.listen(processes)
        self._lines: list[Any] = []
        self.facts: list[dict[str, Any]] = []

    def start(self, prefix: list[str], python: str, worker: str, variables: dict[str, str]) -> None:
        """Start a process, or the launcher of several."""
        command = [*prefix, python, str(WORKERS / worker), self._address, str(self._folder), self.name]
        streams = {"stdin": subprocess.DEVNULL, "stdout": self._output, "stderr": subprocess.STDOUT}
        self._jobs.append(subprocess.Popen(command, env=variables, **streams))  # type: ignore[call-overload]

    def connect(self) -> None:
        """Wait until every process has connected.

        Raises:
            ContenderError: if one ends, or takes too long.
        """
        self._listener.settimeout(0.2)
        deadline = time.monotonic() + START_TIMEOUT
        while len(self._lines) < self.processes:
            try:
                connection, _ = self._listener.accept()
            except TimeoutError:
                if any(job.poll() is not None for job in self._jobs) or time.monotonic() > deadline:
                    raise self._failure("did not start") from None
                continue
            connection.settimeout(ANSWER_TIMEOUT)
            self._lines.append(connection.makefile("rw"))
            self.facts.append(self._read(self._lines[-1]))
        self.facts.sort(key=lambda fact: fact["rank"])

    def sgemm(self) -> float:
        """GFLOP/s of one of its processes, alone, in a product of large matrices."""
        return float(self._ask({"do": "sgemm"}, self._lines[:1])[0]["gflops"])

    def check(self, case: Case, steps: int) -> list[float]:
        """The mean loss of each of the first steps."""
        order = {"do": "check", "case": str(case), "steps": steps}
        answers = [answer["losses"] for answer in self._ask(order, self._lines)]
        return [sum(losses) / len(losses) for losses in zip(*answers, strict=True)]

    def seconds(self, case: Case, steps: int) -> float:
        """How long so many steps take, from barrier to barrier, in the slowest process."""
        order = {"do": "measure", "case": str(case), "steps": steps}
        return max(float(answer["seconds"]) for answer in self._ask(order, self._lines))

    def _ask(self, order: dict[str, Any], lines: list[Any]) -> list[dict[str, Any]]:
        try:
            for line in lines:
                line.write(json.dumps(order) + "\n")
                line.flush()
        except OSError:
            raise self._failure("failed") from None
        return [self._read(line) for line in lines]

    def _read(self, line: Any) -> dict[str, Any]:
        try:
            text = line.readline()
        except OSError:
            text = ""
        if not text:
            raise self._failure("failed")
        return dict(json.loads(text))

    def _failure(self, what: str) -> ContenderError:
        time.sleep(0.5)  # for the last words of a process that is just ending
        self._output.seek(0)
        return ContenderError(f"{self.name} {what}:\n{self._output.read().decode(errors='replace')}")

    def close(self) -> None:
        """Hang up, upon which the processes end; kill what doesn't."""
        for line in self._lines:
            with contextlib.suppress(OSError):  # it has hung up first
                line.close()
        self._listener.close()
        for job in self._jobs:
            try:
                job.wait(20 if len(self._lines) == self.processes else 0)
            except subprocess.TimeoutExpired:
                job.terminate()  # a launcher passes it on to its ranks
        for job in self._jobs:
            try:
                job.wait(5)
            except subprocess.TimeoutExpired:
                job.kill()
                job.wait()
        self._output.close()

    def __enter__(self) -> Contender:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def under_mpiexec(
    name: str, launcher: str, worker: str, ranks: int, folder: Path, networks: Collection[str] = ALL
) -> Contender:
    """A contender whose ranks mpiexec starts, with one thread each."""
    contender = Contender(name, ranks, folder, networks)
    more = ["--oversubscribe"] if ranks > (os.cpu_count() or 1) and "hydra" not in launcher else []
    contender.start([launcher, *more, "-n", str(ranks)], sys.executable, worker, environment(1))
    return contender


def torch_ddp(name: str, python: str, ranks: int, folder: Path) -> Contender:
    """DDP's processes, with one thread each."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    contender = Contender(name, ranks, folder)
    shared = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "WORLD_SIZE": str(ranks)}
    for rank in range(ranks):
        contender.start([], python, "torch_ddp.py", environment(1, RANK=str(rank), **shared))
    return contender


def one_process(
    name: str, python: str, worker: str, threads: int, folder: Path, networks: Collection[str] = ALL
) -> Contender:
    """A contender of one process with so many threads."""
    contender = Contender(name, 1, folder, networks)
    contender.start([], python, worker, environment(threads))
    return contender
