"""``distnn submit``: a training as a job under Slurm, checked before it waits in the queue."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from distnn import __version__
from distnn.cli import options
from distnn.cli.apart import foresee
from distnn.cli.init import write_new
from distnn.cli.launch import alone
from distnn.cli.train import seconds, train
from distnn.errors import UsageError, complain
from distnn.report.output import show

if TYPE_CHECKING:
    from distnn.config import RunSettings
    from distnn.config.site import SiteSettings


def _time(ctx: click.Context, param: click.Parameter, value: str) -> str:
    """The option, if it is a time in which something can be trained."""
    from distnn.jobs.slurm import EARLY, WARNING

    if seconds(value) <= WARNING + EARLY:
        least = (WARNING + EARLY) // 60
        raise click.BadParameter(
            f"'{value}' is too short: jobs are asked to stop up to {least} minutes before their limit"
        )
    return value


def _word(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    """The option, if it can stand in a line of a job script."""
    if value is not None and (not value or value.startswith("-") or any(map(str.isspace, value))):
        raise click.BadParameter(f"'{value}' is not a name; expected one word", ctx, param)
    return value


@click.command(cls=options.Once)
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
@click.option("--job-name", "name", callback=_word, default="distnn", help="The log is NAME-JOB.out.")
@click.option("--out", metavar="SCRIPT", type=options.PATH, help="Also write the job script to a new file.")
@click.option("--dry-run", is_flag=True, help="Print the job script and submit nothing.")
@alone
def submit(
    run: Path,
    arguments: tuple[str, ...],
    site: str,
    ranks_per_node: int | None,
    threads: int | None,
    out: Path | None,
    dry_run: bool,
    **asked: Any,
) -> None:
    """Train by the run file RUN.toml in a Slurm job, which runs again until the training is finished.

    Run file, data and layout are checked first. Arguments after -- are passed to `distnn train`. The job trains in the
    folder that it is submitted from, with the Python environment of this distnn, or the one that DISTNN_VENV names.

    \b
    Example:
      distnn submit run.toml --site archer2 --nodes 4 --time 01:00:00 --account z01
      distnn submit run.toml --site cirrus --nodes 2 --time 30 --dry-run -- --set train.epochs=90 --out runs/long
    """
    from distnn.config import site as sites
    from distnn.jobs import slurm
    from distnn.report.words import count

    machine = sites.read(site)
    settings, batch = _accepted(run, arguments)
    ranks, threads = sites.layout(machine, site, ranks_per_node, threads, settings.parallel.threads)
    _note_waste(settings, batch, asked["nodes"] * ranks, machine.node.cores - ranks * threads)
    _check_account(machine, site, asked["account"])
    environment, activated = _environment(installed=not dry_run)
    job = slurm.Job(
        machine,
        ranks=ranks,
        threads=threads,
        arguments=(str(run), *arguments),
        environment=shlex.quote(str(environment)),
        folder=Path.cwd(),
        activated=activated,
        head=(f"Made by `distnn submit` of distnn {__version__}, for the site {site}; sbatch submits it, too.",),
        **asked,
    )
    script = job.script()
    if out is not None:
        write_new(out, script, "--out")
    if dry_run:
        show(script, end="")
        return
    number = slurm.submit(script, out)
    size = f"{count(job.nodes * job.ranks, 'rank')} on {count(job.nodes, 'node')}, {count(job.threads, 'core')} a rank"
    show(f"submitted job {number}: {size}; its log: {job.name}-{number}.out")


def _accepted(run: Path, arguments: tuple[str, ...]) -> tuple[RunSettings, int]:
    """The run file's settings, and the samples of a batch, where run file, data and model are as jobs want them.

    Raises:
        UsageError: for whatever `distnn train` would refuse.
    """
    from distnn import config
    from distnn.session import parts

    # Parsed as `distnn train` does, which refuses what it doesn't know.
    group = click.get_current_context().find_root()
    overrides = train.make_context("train", [str(run), *arguments], parent=group).params["overrides"]
    settings = config.read(run, overrides)
    foresee(settings.data.path, follow=settings.data.follow, description=settings.data.description())
    with config.located(run, overrides), parts.data_file(settings) as file:
        if settings.parallel.elastic:
            raise UsageError(
                "parallel.elastic = true needs Open MPI's mpirun --with-ft ulfm, but jobs start their ranks by srun; "
                "leave it out; a job that is run again goes on from the last checkpoint."
            ).at("parallel", "elastic")
        parts.model(settings, file)
        parts.augmentation(settings, file)
        return settings, parts.batch_size(settings, file)


def _note_waste(settings: RunSettings, batch: int, ranks: int, idle: int) -> None:
    """Tell of what would train, but waste nodes."""
    from distnn.report.words import count

    shards = settings.parallel.shards
    if (pieces := min(batch, shards or batch)) < ranks:
        what = f"parallel.shards = {shards}" if pieces == shards else f"batches of {batch} samples"
        complain(f"distnn: note: {what} keep no more than {pieces} of the {ranks} ranks busy")
    if idle:
        cores = f"{count(idle, 'core')} of each node without a rank"
        complain(f"distnn: note: {cores}; --ranks-per-node and --threads share them out")


def _check_account(machine: SiteSettings, site: str, account: str | None) -> None:
    if machine.job.charged and not (account or machine.job.account):
        raise UsageError(
            f"jobs on {site} are charged to an account: name it with --account, or in the environment variable "
            "DISTNN_ACCOUNT or SBATCH_ACCOUNT."
        )


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
