"""A real Slurm on this host: munged, slurmctld and a slurmd for each node, all from Debian's packages.

    with Cluster(folder, nodes=2) as cluster:
        job = cluster.sbatch("jobscripts/generic.slurm", cwd=checkout)
        assert cluster.wait(job, 60).state == "COMPLETED"

Everything lies in one folder and listens on ports of its own, beside whatever Slurm the host may have. The nodes are
n1, n2, … with the cores of this host each, so two jobs on all nodes share the cores. They are one host to MPI.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Self

#: The daemons, and what a person does where they are missing.
PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch")
CURE = "apt-get install slurm-wlm munge, and be root"
#: Seconds for the daemons to come up.
START = 120
#: So many times longer than elsewhere a busy machine may take, before it is said that something hangs.
BUSY = 2
#: Seconds before a requeued job may start again: as long as Slurm's credentials live, by default 120 (slurm.conf(5)).
CREDENTIALS = 6


def missing() -> str:
    """What keeps a cluster from starting here; empty if nothing does."""
    lacking = [name for name in PROGRAMS if shutil.which(name, path=_path()) is None]
    if lacking:
        return f"{', '.join(lacking)} not found: {CURE}"
    return "" if os.getuid() == 0 else f"not root: {CURE}"


def _path() -> str:
    return os.environ.get("PATH", "") + ":/usr/sbin:/sbin"


@dataclass(frozen=True)
class Job:
    """What Slurm says of a job.

    Attributes:
        state: PENDING, RUNNING, COMPLETED, FAILED, TIMEOUT, CANCELLED, …
        exit_code: of its script.
        restarts: how often it was requeued.
        text: all of it.
    """

    state: str
    exit_code: int
    restarts: int
    text: str

    @property
    def over(self) -> bool:
        """Whether it won't run any more."""
        return self.state not in (
            "PENDING",
            "CONFIGURING",
            "RUNNING",
            "COMPLETING",
            "REQUEUED",
            "SUSPENDED",
            "STAGE_OUT",
        )


class Cluster:
    """The daemons; a context manager, which ends them all.

    Arguments:
        folder: an empty one for configuration, state and logs.
        nodes: how many slurmd.
    """

    def __init__(self, folder: Path, nodes: int = 2) -> None:
        self.folder, self.nodes = folder, [f"n{k + 1}" for k in range(nodes)]
        self._daemons: list[subprocess.Popen[bytes]] = []
        self._logs: list[IO[bytes]] = []
        self.env = {
            name: value for name, value in os.environ.items() if not name.startswith(("SLURM_", "PMI", "OMPI_"))
        }
        self.env |= {"SLURM_CONF": str(folder / "slurm.conf"), "PATH": _path()}
        # Jobs inherit it: ranks that wait leave the cores to other tests, as by `tests.support.launch`.
        self.env["MPIR_CVAR_ENABLE_HEAVY_YIELD"] = "1"

    def __enter__(self) -> Self:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.folder.chmod(0o755)
        self._configure()
        try:
            self._start_daemons()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _configure(self) -> None:
        folder, ports, host = self.folder, _free_ports(len(self.nodes) + 1), socket.gethostname().partition(".")[0]
        (folder / "munge.key").write_bytes(os.urandom(128))
        (folder / "munge.key").chmod(0o400)
        (folder / "munge").mkdir(mode=0o755)
        for name in ("state", "spool"):
            (folder / name).mkdir()
        cores = os.cpu_count() or 1
        lines = [
            "ClusterName=distnn",
            # MPICH names its shared memory after the job's number, and what a killed job of another cluster has left in
            # /dev/shm under the same name keeps a job from starting.
            f"FirstJobId={1 + int.from_bytes(os.urandom(3))}",
            f"SlurmctldHost={host}(127.0.0.1)",
            "SlurmUser=root",
            "SlurmdUser=root",
            "AuthType=auth/munge",
            f"AuthInfo=socket={folder}/munge/socket,cred_expire={CREDENTIALS}",
            "CredType=cred/munge",
            f"StateSaveLocation={folder}/state",
            f"SlurmdSpoolDir={folder}/spool/%n",
            f"SlurmctldPidFile={folder}/slurmctld.pid",
            f"SlurmdPidFile={folder}/slurmd-%n.pid",
            f"SlurmctldPort={ports[0]}",
            "ProctrackType=proctrack/linuxproc",
            "TaskPlugin=task/none",
            "SelectType=select/cons_tres",
            "SelectTypeParameters=CR_Core",
            "MpiDefault=none",
            "ReturnToService=2",
            "SwitchType=switch/none",
            "AccountingStorageType=accounting_storage/none",
            "JobAcctGatherType=jobacct_gather/none",
            "SchedulerParameters=sched_interval=2,bf_interval=2,batch_sched_delay=0,sched_min_interval=0",
            "InactiveLimit=0",
            "KillWait=10",
            "MinJobAge=3600",
            "OverTimeLimit=0",
            "JobRequeue=1",
        ]
        for name, port in zip(self.nodes, ports[1:], strict=True):
            lines.append(
                f"NodeName={name} NodeHostname={host} NodeAddr=127.0.0.1 Port={port} CPUs={cores} State=UNKNOWN"
            )
        lines.append(f"PartitionName=standard Nodes={','.join(self.nodes)} Default=YES MaxTime=INFINITE State=UP")
        (folder / "slurm.conf").write_text("\n".join(lines) + "\n")

    def _start_daemons(self) -> None:
        folder = self.folder
        munge = ["munged", "--foreground", f"--key-file={folder}/munge.key", f"--socket={folder}/munge/socket"]
        munge += [
            f"--pid-file={folder}/munge/pid",
            f"--log-file={folder}/munge/log",
            f"--seed-file={folder}/munge/seed",
        ]
        self._daemon("munged", munge)
        deadline = time.monotonic() + START
        while not (folder / "munge" / "socket").exists():
            self._check(deadline)
        self._daemon("slurmctld", ["slurmctld", "-D", "-i"])
        for name in self.nodes:
            self._daemon(f"slurmd-{name}", ["slurmd", "-D", "-N", name])
        while self._command("sinfo", "--noheader", "--format=%T %D", check=False).split() != [
            "idle",
            str(len(self.nodes)),
        ]:
            self._check(deadline)

    def _daemon(self, name: str, command: list[str]) -> None:
        log = (self.folder / f"{name}.out").open("wb")
        self._logs.append(log)
        self._daemons.append(
            subprocess.Popen(
                command, env=self.env, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        )

    def _check(self, deadline: float) -> None:
        """Wait a little; raise if a daemon has ended, or the time is up."""
        for daemon in self._daemons:
            if daemon.poll() is not None:
                raise RuntimeError(f"{daemon.args} ended with {daemon.returncode}:\n{self.logs()}")
        if time.monotonic() > deadline:
            raise RuntimeError(f"the cluster didn't come up:\n{self.logs()}")
        time.sleep(0.2)

    def logs(self) -> str:
        """What the daemons have said."""
        return "\n".join(f"--- {path.name}\n{path.read_text()[-3000:]}" for path in sorted(self.folder.glob("*.out")))

    def _command(
        self, *command: str, check: bool = True, cwd: Path | None = None, env: Mapping[str, str] | None = None
    ) -> str:
        done = subprocess.run(
            command,
            env=self.env | dict(env or {}),
            cwd=cwd,
            capture_output=True,
            text=True,
            check=False,
            timeout=60 * BUSY,
        )
        if check and done.returncode:
            raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}: {done.stderr}\n{self.logs()}")
        return done.stdout

    def sbatch(self, *arguments: str | Path, cwd: Path, env: Mapping[str, str] | None = None) -> str:
        """Submit; the job's number."""
        return self._command("sbatch", "--parsable", *map(str, arguments), cwd=cwd, env=env).strip().partition(";")[0]

    def run(
        self, command: Sequence[str], cwd: Path, env: Mapping[str, str] | None = None, timeout: float = 60 * BUSY
    ) -> subprocess.CompletedProcess[str]:
        """Run a command that speaks with the cluster, such as srun, and wait for it."""
        env = self.env | dict(env or {})
        return subprocess.run(command, env=env, cwd=cwd, capture_output=True, text=True, check=False, timeout=timeout)

    def job(self, number: str) -> Job:
        """What Slurm says of it."""
        text = self._command("scontrol", "show", "job", number)
        fields = dict(re.findall(r"(\w+)=(\S+)", text))
        return Job(fields["JobState"], int(fields["ExitCode"].partition(":")[0]), int(fields["Restarts"]), text)

    def wait(self, number: str, timeout: float) -> Job:
        """The job once it is over.

        Raises:
            TimeoutError: if it isn't within so many seconds (on a busy machine, `BUSY` times), with what Slurm says.
        """
        deadline = time.monotonic() + BUSY * timeout
        while not (job := self.job(number)).over:
            if time.monotonic() > deadline:
                self._command("scancel", number, check=False)
                raise TimeoutError(f"job {number} wasn't over after {timeout} s:\n{job.text}\n{self.logs()}")
            time.sleep(0.5)
        return job

    def signal(self, name: str, number: str) -> None:
        """Send a signal to every rank of a job's step, as Slurm does before a time limit."""
        self._command("scancel", f"--signal={name}", number)

    def limit(self, number: str, minutes: int) -> None:
        """Change a job's time limit."""
        self._command("scontrol", "update", f"JobId={number}", f"TimeLimit={minutes}")

    def until(self, true: Callable[[], bool], timeout: float) -> None:
        """Wait until it is true.

        Raises:
            TimeoutError: if it isn't within so many seconds.
        """
        deadline = time.monotonic() + BUSY * timeout
        while not true():
            if time.monotonic() > deadline:
                raise TimeoutError(f"it wasn't so after {timeout} s:\n{self.logs()}")
            time.sleep(0.3)

    def close(self) -> None:
        """Cancel every job, and end the daemons, the last started first."""
        if self._daemons and all(daemon.poll() is None for daemon in self._daemons):
            self._command("scancel", "--user=root", "--signal=KILL", check=False)
            self._command("scancel", "--user=root", check=False)
        for daemon in reversed(self._daemons):
            if daemon.poll() is None:
                daemon.terminate()
                try:
                    daemon.wait(10)
                except subprocess.TimeoutExpired:
                    os.killpg(daemon.pid, signal.SIGKILL)
                    daemon.wait()
        self._daemons.clear()
        for log in self._logs:
            log.close()


def _free_ports(count: int) -> list[int]:
    """Ports that nobody listens on just now."""
    probes = [socket.socket() for _ in range(count)]
    try:
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]
    finally:
        for probe in probes:
            probe.close()
