"""Jobs under Slurm: the text of a job script, which repeats a training until it is finished, and its submission."""

from __future__ import annotations

import shlex
import subprocess
import textwrap
from dataclasses import dataclass
from pathlib import Path

from distnn.config.site import SiteSettings
from distnn.errors import DistnnError, UsageError

#: The bash functions that run a training again. Each job script contains them, so that it needs no other file.
AGAIN = Path(__file__).parent / "again.bash"
#: Slurm signals a job WARNING seconds before its time limit, and up to EARLY seconds sooner.
WARNING = 120
EARLY = 60
#: Marks a place that the user has to fill in.
CHANGE = "CHANGE-ME"


@dataclass(frozen=True)
class Job:
    """A job and the training that it runs."""

    site: SiteSettings  #: where it runs
    nodes: int
    time: str  #: the time limit, in Slurm's notation
    ranks: int  #: on each node
    threads: int  #: cores of each rank
    arguments: tuple[str, ...]  #: of ``distnn train`` when the script gets none
    environment: str  #: the folder of the Python environment, as a word of bash
    folder: Path | None = None  #: in which it trains; None: the one it is submitted from
    activated: bool = True  #: whether the environment has a script ``bin/activate``
    head: tuple[str, ...] = ()  #: lines that describe the script
    #: Slurm's options of these names; None: the site's
    name: str = "distnn"
    account: str | None = None
    partition: str | None = None
    qos: str | None = None
    blank: bool = False  #: leave blanks for options that the site may require, for a script to be edited by hand

    def script(self) -> str:
        """The job script's text."""
        default = f"(($#)) || set -- {shlex.join(self.arguments)}"
        train = ["# What to train, unless it is given on sbatch's command line.", default]
        parts = [self._about(), self._charge(), self._request(), self._environment(), train, self._again(), self._run()]
        return "\n\n".join("\n".join(part) for part in parts if part) + "\n"

    def _about(self) -> list[str]:
        shell = "#!/bin/bash" + (" --login" if self.site.job.login else "")
        lines = [f"distnn on {self.site.about}.", "", *self.head, *self.site.job.notes]
        return [shell, *(comment for line in lines for comment in _comments(line))]

    def _charge(self) -> list[str]:
        """The account that is charged, and the kind of nodes."""
        job = self.site.job
        given = {
            "account": self.account or job.account or (CHANGE if job.charged else None),
            "partition": self.partition or job.partition,
            "qos": self.qos or job.qos,
        }
        lines = [f"#SBATCH --{option}={value}" for option, value in given.items() if value]
        if lines and CHANGE in lines[0]:
            lines.insert(0, "# Change these to your project's.")
        missing = [f"##SBATCH --{option}={CHANGE}" for option, value in given.items() if not value]
        if self.blank and missing:
            lines += ["# If your site requires these, remove one # and fill them in.", *missing]
        return lines

    def _request(self) -> list[str]:
        """The size of the job, and what Slurm does at its time limit."""
        job = self.site.job
        lines = [f"#SBATCH --job-name={self.name}", "#SBATCH --output=%x-%j.out", f"#SBATCH --time={self.time}"]
        if job.exclusive:
            lines += ["# Nodes are shared here unless a job asks for whole ones.", "#SBATCH --exclusive"]
        again = (
            "Two minutes before the limit, every rank gets USR1: the run writes a checkpoint and ends with exit code "
            "75. Then the job runs again and continues, until the run is finished (`again`, below)."
        )
        lines += [f"#SBATCH --nodes={self.nodes}", *self._layout(), *_comments(again)]
        lines += [f"#SBATCH --signal=USR1@{WARNING}", *(["#SBATCH --requeue"] if job.again == "requeue" else [])]
        return [*lines, "#SBATCH --open-mode=append"]

    def _layout(self) -> list[str]:
        node = self.site.node
        if node.cache:
            one = "One rank for each L3 cache. " if self.threads == node.cache else ""
            layouts = ", ".join(f"{ranks}x{threads}" for ranks, threads in node.layouts())
            about = f"{one}Layouts (ranks x cores) that fill a node without splitting a cache: {layouts}."
        else:
            about = (
                "Ranks times cores is the number of cores of a node. Ranks run best when all cores of a rank share one "
                "L3 cache."
            )
        return [*_comments(about), f"#SBATCH --ntasks-per-node={self.ranks}", f"#SBATCH --cpus-per-task={self.threads}"]

    def _environment(self) -> list[str]:
        """The environment, and the folder in which the job runs."""
        lines = list(self.site.job.setup)
        if self.blank and not lines:
            lines = ["# Add what your site needs here, such as: module load python openmpi"]
        lines += ["set -euo pipefail", *([f"cd {shlex.quote(str(self.folder))}"] if self.folder else [])]
        lines.append(f"environment={self.environment}")
        if self.activated:
            lines += ["# shellcheck source=/dev/null", 'source "${DISTNN_VENV:-$environment}/bin/activate"']
        else:
            lines.append('export PATH="${DISTNN_VENV:-$environment}/bin:$PATH"')
        return lines

    def _again(self) -> list[str]:
        lines = AGAIN.read_text(encoding="utf-8").splitlines()
        if self.site.job.again == "chain":
            lines += ["", "# This site documents dependencies between jobs, but not requeueing."]
            lines.append('export DISTNN_AGAIN="${DISTNN_AGAIN:-chain}"')
        return lines

    def _run(self) -> list[str]:
        lines = []
        if self.site.job.mpi:
            lines += _comments(
                "How srun and the MPI library connect: pmi2 for MPICH (pip's wheel, too), pmix for Open MPI 5. "
                "`srun --mpi=list` shows what yours offers. If every rank reports that it is alone, change this line."
            )
            lines += [f'export SLURM_MPI_TYPE="${{SLURM_MPI_TYPE:-{self.site.job.mpi}}}"', ""]
        lines += [
            "# One BLAS thread for each core of the rank, and no more: oversubscribed cores make runs slow.",
            'export OMP_NUM_THREADS="$SLURM_CPUS_PER_TASK"',
            "export OMP_PLACES=cores",
            "# srun doesn't inherit --cpus-per-task from sbatch; without this line the ranks are pinned wrongly.",
            'export SRUN_CPUS_PER_TASK="$SLURM_CPUS_PER_TASK"',
        ]
        return [*lines, "", " ".join(["again srun", *self.site.job.srun, 'distnn train "$@"'])]


def _comments(text: str) -> list[str]:
    """A text as comments of bash."""
    wrapped = textwrap.wrap(text, 118, initial_indent="# ", subsequent_indent="# ", break_on_hyphens=False)
    return ["#"] if not text else [f"#{text}"] if text.startswith(" ") else wrapped


def submit(script: str, path: Path | None = None) -> str:
    """Submit a job with sbatch, from the script's text or from the file that holds it; returns the job's number.

    Raises:
        UsageError: if there is no sbatch.
        DistnnError: if sbatch refuses the job; the message quotes it.
    """
    command = ["sbatch", "--parsable", *([str(path)] if path else [])]
    try:
        done = subprocess.run(
            command, input=script, capture_output=True, encoding="utf-8", errors="surrogateescape", check=False
        )
    except FileNotFoundError:
        raise UsageError(
            "sbatch isn't found: jobs are submitted where Slurm is, such as a login node of the machine. --dry-run "
            "prints the job script anywhere."
        ) from None
    if done.returncode:
        raise DistnnError(f"sbatch refused the job (exit code {done.returncode}): {done.stderr.strip()}")
    return done.stdout.strip().partition(";")[0]  # a cluster's name may follow
