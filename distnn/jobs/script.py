"""The text of a job script: what is asked of Slurm, the environment, and a training that goes on until it is done."""

from __future__ import annotations

import shlex
import textwrap
from dataclasses import dataclass
from pathlib import Path

from distnn.config.site import SiteSettings

#: The functions of bash that run a training again; they stand in each job script, so that it needs no other file.
AGAIN = Path(__file__).parent / "again.bash"
#: Seconds before its time limit at which Slurm warns a job; it may do so up to a minute early.
WARNING = 120
EARLY = 60
#: Stands where a person has to fill in.
CHANGE = "CHANGE-ME"


@dataclass(frozen=True)
class Job:
    """One job, and the training that it runs.

    Arguments:
        site: where it runs.
        nodes, time: how many nodes, and how long, as Slurm writes times.
        ranks, threads: ranks on each node, and cores of each.
        arguments: those of ``distnn train`` where the script is given none.
        environment: the folder of the Python environment, as a word of bash.
        folder: from which it trains; None: from which it is submitted.
        activated: whether the environment has a script ``bin/activate``.
        head: lines that say what the script is.
        name, account, partition, qos: as Slurm calls them; None: the site's.
        blank: leave a place for what the site may want to be told, as in a script that people change by hand.
    """

    site: SiteSettings
    nodes: int
    time: str
    ranks: int
    threads: int
    arguments: tuple[str, ...]
    environment: str
    folder: Path | None = None
    activated: bool = True
    head: tuple[str, ...] = ()
    name: str = "distnn"
    account: str | None = None
    partition: str | None = None
    qos: str | None = None
    blank: bool = False

    def script(self) -> str:
        """The job script's text."""
        parts = [self._about(), self._charge(), self._request(), self._environment(), self._train(), self._again()]
        return "\n\n".join("\n".join(part) for part in [*parts, self._run()] if part) + "\n"

    def _about(self) -> list[str]:
        shell = "#!/bin/bash" + (" --login" if self.site.job.login else "")
        lines = [f"distnn on {self.site.about}.", "", *self.head, *self.site.job.notes]
        return [shell, *(comment for line in lines for comment in _comments(line))]

    def _charge(self) -> list[str]:
        """Who pays, and for which nodes."""
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
            lines += ["# Where your site wants them named, take one # away and fill in.", *missing]
        return lines

    def _request(self) -> list[str]:
        """The job's size, and what Slurm does at its end."""
        job = self.site.job
        lines = [f"#SBATCH --job-name={self.name}", "#SBATCH --output=%x-%j.out", f"#SBATCH --time={self.time}"]
        if job.exclusive:
            lines += ["# Nodes are shared here unless asked for whole.", "#SBATCH --exclusive"]
        lines += [f"#SBATCH --nodes={self.nodes}", *self._layout()]
        lines += _comments(
            "Two minutes before the limit every rank gets USR1: the run writes a checkpoint and ends with exit code "
            "75. Then the job runs again and goes on, until the run is finished (`again`, below)."
        )
        lines.append(f"#SBATCH --signal=USR1@{WARNING}")
        return [*lines, *(["#SBATCH --requeue"] if job.again == "requeue" else []), "#SBATCH --open-mode=append"]

    def _layout(self) -> list[str]:
        node = self.site.node
        if node.cache:
            one = "One rank to an L3 cache. " if self.threads == node.cache else ""
            layouts = ", ".join(f"{ranks}x{threads}" for ranks, threads in node.layouts())
            about = f"{one}Ranks times cores fill a node, and part no cache, as {layouts}."
        else:
            about = (
                "Ranks times cores: the cores of a node. Ranks whose cores share an L3 cache, and no more cores than "
                "that, do best."
            )
        return [*_comments(about), f"#SBATCH --ntasks-per-node={self.ranks}", f"#SBATCH --cpus-per-task={self.threads}"]

    def _environment(self) -> list[str]:
        """The programs, and the folder that they run in."""
        lines = list(self.site.job.setup)
        if self.blank and not lines:
            lines = ["# What your site needs comes here, such as: module load python openmpi"]
        lines += ["set -euo pipefail", *([f"cd {shlex.quote(str(self.folder))}"] if self.folder else [])]
        lines.append(f"environment={self.environment}")
        if self.activated:
            lines += ["# shellcheck source=/dev/null", 'source "${DISTNN_VENV:-$environment}/bin/activate"']
        else:
            lines.append('export PATH="${DISTNN_VENV:-$environment}/bin:$PATH"')
        return lines

    def _train(self) -> list[str]:
        default = f"(($#)) || set -- {shlex.join(self.arguments)}"
        return ["# What to train, unless sbatch's command line says so.", default]

    def _again(self) -> list[str]:
        lines = AGAIN.read_text().splitlines()
        if self.site.job.again == "chain":
            lines += ["", "# This site has no requeue in its documentation, but dependencies."]
            lines.append('export DISTNN_AGAIN="${DISTNN_AGAIN:-chain}"')
        return lines

    def _run(self) -> list[str]:
        lines = []
        if self.site.job.mpi:
            lines += _comments(
                "How srun and the MPI library find each other: pmi2 for MPICH (pip's wheel, too), pmix for Open MPI 5. "
                "`srun --mpi=list` shows what yours offers. If every rank says it is alone, change this line."
            )
            lines += [f'export SLURM_MPI_TYPE="${{SLURM_MPI_TYPE:-{self.site.job.mpi}}}"', ""]
        lines += [
            "# One BLAS thread to each core of the rank, and no more: oversubscribed cores are the classic slow start.",
            'export OMP_NUM_THREADS="$SLURM_CPUS_PER_TASK"',
            "export OMP_PLACES=cores",
            "# srun doesn't take --cpus-per-task over from sbatch; without this line the ranks are pinned wrongly.",
            'export SRUN_CPUS_PER_TASK="$SLURM_CPUS_PER_TASK"',
        ]
        return [*lines, "", " ".join(["again srun", *self.site.job.srun, 'distnn train "$@"'])]


def _comments(text: str) -> list[str]:
    """A text as comments of bash."""
    wrapped = textwrap.wrap(text, 118, initial_indent="# ", subsequent_indent="# ", break_on_hyphens=False)
    return ["#"] if not text else [f"#{text}"] if text.startswith(" ") else wrapped
