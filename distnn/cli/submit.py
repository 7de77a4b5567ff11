"""``distnn submit``: a training as a job under Slurm, checked before it waits in the queue."""

from __future__ import annotations

import os
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from distnn import __version__
from distnn.cli import options
from distnn.cli.init import write_new
from distnn.cli.launch import alone, report
from distnn.cli.train import seconds, train
from distnn.errors import UsageError
from distnn.report.output import show

if TYPE_CHECKING:
    from distnn.config import RunSettings
    from distnn.config.site import SiteSettings
    from distnn.jobs.slurm import Job


def _time(ctx: click.Context, param: click.Parameter, value: str) -> str:
    """The option, if it is a time in which something can be trained."""
    from distnn.jobs.slurm import EARLY, WARNING

    try:
        enough = seconds(value) > WARNING + EARLY
    except ValueError as error:
        raise click.BadParameter(str(error), ctx, param) from None
    if not enough:
        least = (WARNING + EARLY) // 60
        raise click.BadParameter(
            f"'{value}' is too short: jobs are asked to stop up to {least} minutes before their limit", ctx, param
        )
    return value


def _word(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    """The option, if it can stand in a line of a job script."""
    if value is not None and (not value or value.startswith("-") or any(map(str.isspace, value))):
        raise click.BadParameter(f"'{value}' is not a name; expected one word", ctx, param)
    return value


@click.command()
@options.run_file
@click.argument("arguments", metavar="[-- ARGUMENT…]", nargs=-1, type=click.UNPROCESSED)
@click.option("--site", required=True, metavar="NAME", help="archer2, cirrus, generic, or a site file.")
@click.option("--nodes", required=True, type=click.IntRange(1), help="The number of nodes.")
@click.option("--time", required=True, metavar="TIME", callback=_time, help="The job's limit: HH:MM:SS.")
@click.option("--ranks-per-node", type=click.IntRange(1), help="The site's usual number by default.")
@click.option("--threads", type=click.IntRange(1), help="Cores of each rank; all of the node's by default.")
@click.option(
    "--account", callback=_word, envvar=["DISTNN_ACCOUNT", "SBATCH_ACCOUNT"], help="The account that is charged."
)
@click.option("--partition", callback=_word, help="The kind of nodes; the site's by default.")
@click.option("--qos", callback=_word, help="The quality of service; the site's by default.")
@click.option("--job-name", callback=_word, default="distnn", help="The log is NAME-JOB.out.")
@click.option("--out", metavar="SCRIPT", type=options.PATH, help="Also write the job script to a new file.")
@click.option("--dry-run", is_flag=True, help="Print the job script and submit nothing.")
@alone
def submit(run: Path, arguments: tuple[str, ...], out: Path | None, dry_run: bool, **options: Any) -> None:
    """Train by the run file RUN.toml in a Slurm job, which runs again until the training is finished.

    Run file, data and layout are checked first. Arguments after -- are passed to `distnn train`. The job trains in the
    folder that it is submitted from, with the Python environment of this distnn, or the one that DISTNN_VENV names.

    \b
    Example:
      distnn submit run.toml --site archer2 --nodes 4 --time 01:00:00 --account z01
      distnn submit run.toml --site cirrus --nodes 2 --time 30 --dry-run -- --set train.epochs=90 --out runs/long
    """
    from distnn.jobs.slurm import submit as hand_over
    from distnn.report.words import count

    asked = _Asked(run, arguments, **options)
    job = asked.job(installed=not dry_run)
    script = job.script()
    if out is not None:
        write_new(out, script, "--out")
    if dry_run:
        show(script, end="")
        return
    number = hand_over(script, out)
    size = f"{count(job.nodes * job.ranks, 'rank')} on {count(job.nodes, 'node')}, {count(job.threads, 'core')} a rank"
    show(f"submitted job {number}: {size}; its log: {job.name}-{number}.out")


@dataclass(frozen=True)
class _Asked:
    """The command line."""

    run: Path
    arguments: tuple[str, ...]
    site: str
    nodes: int
    time: str
    ranks_per_node: int | None
    threads: int | None
    account: str | None
    partition: str | None
    qos: str | None
    job_name: str

    def job(self, *, installed: bool) -> Job:
        """The job, once all that can be checked here has been; ``installed``: distnn in its environment, too.

        Raises:
            UsageError: for whatever `distnn train` would refuse, or the site can't do.
        """
        from distnn.config import site as sites
        from distnn.jobs.slurm import Job

        site = sites.read(self.site)
        ranks, threads = self._layout(site)
        self._check_account(site)
        environment, activated = _environment(installed=installed)
        made = f"Made by `distnn submit` of distnn {__version__}, for the site {self.site}; sbatch submits it, too."
        return Job(
            site,
            *(self.nodes, self.time, ranks, threads),
            arguments=(str(self.run), *self.arguments),
            environment=shlex.quote(str(environment)),
            folder=Path.cwd(),
            activated=activated,
            head=(made,),
            name=self.job_name,
            account=self.account,
            partition=self.partition,
            qos=self.qos,
        )

    def _layout(self, site: SiteSettings) -> tuple[int, int]:
        """Ranks of a node and threads of a rank, for a run that `distnn train` accepts; notes what wastes nodes."""
        from distnn.config import site as sites

        # Parsed as `distnn train` does, which refuses what it doesn't know.
        given = train.make_context("distnn train", [str(self.run), *self.arguments]).params
        settings, batch = _checked(self.run, given["overrides"])
        ranks, threads = sites.layout(site, self.site, self.ranks_per_node, self.threads, settings.parallel.threads)
        for note in _notes(settings, batch, self.nodes * ranks, site.node.cores - ranks * threads):
            report(f"distnn: note: {note}")
        return ranks, threads

    def _check_account(self, site: SiteSettings) -> None:
        if site.job.charged and not (self.account or site.job.account):
            raise UsageError(
                f"jobs on {self.site} are charged to an account: name it with --account, or in the environment "
                "variable DISTNN_ACCOUNT or SBATCH_ACCOUNT."
            )


def _checked(run: Path, overrides: tuple[str, ...]) -> tuple[RunSettings, int]:
    """The run file's settings, and the samples of a batch, where data and model are as `distnn train` wants them."""
    from distnn import config
    from distnn.data import DataFile
    from distnn.session import parts

    settings = config.read(run, overrides)
    with config.located(run, overrides), DataFile(settings.data.path) as file:
        if settings.parallel.elastic:
            raise UsageError(
                "parallel.elastic = true needs Open MPI's mpirun --with-ft ulfm, but jobs start their ranks by srun; "
                "leave it out; a job that is run again goes on from the last checkpoint."
            ).at("parallel", "elastic")
        parts.model(settings, file)
        parts.augmentation(settings, file)
        return settings, parts.batch_size(settings, file)


def _notes(settings: RunSettings, batch: int, ranks: int, idle: int) -> list[str]:
    """What would train, but waste nodes."""
    from distnn.report.words import count

    notes, shards = [], settings.parallel.shards
    if (pieces := min(batch, shards or batch)) < ranks:
        what = f"parallel.shards = {shards}" if pieces == shards else f"batches of {batch} samples"
        notes.append(f"{what} keep no more than {pieces} of the {ranks} ranks busy")
    if idle:
        notes.append(
            f"{count(idle, 'core')} of each node without a rank; --ranks-per-node and --threads share them out"
        )
    return notes


def _environment(*, installed: bool) -> tuple[Path, bool]:
    """The Python environment that jobs run in, and whether it has a script that activates it.

    Raises:
        UsageError: if there is no distnn in it, but has to be.
    """
    folder = Path(os.environ.get("DISTNN_VENV") or sys.prefix).absolute()
    if installed and not (folder / "bin" / "distnn").exists():
        raise UsageError(
            f"there is no distnn in the Python environment {folder} (bin/distnn); install it there with pip, or name "
            "another environment in the variable DISTNN_VENV."
        )
    return folder, (folder / "bin" / "activate").exists() or not folder.exists()
