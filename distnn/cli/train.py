"""``distnn train``: run a run file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from distnn.cli import options
from distnn.cli.apart import foresee
from distnn.cli.launch import MORE_TO_DO, together

if TYPE_CHECKING:
    from distnn.parallel.world import World

_WRITTEN = "write HH:MM:SS (00:50:00), MM:SS (50:00), minutes (50), or D-HH:MM:SS (1-12:00:00)"


def seconds(text: str) -> float:
    """The seconds of MINUTES, MM:SS, HH:MM:SS, D-HH, D-HH:MM or D-HH:MM:SS, as ``sbatch --time`` reads them.

    >>> seconds("00:50:00"), seconds("50:00"), seconds("50"), seconds("1-12")
    (3000.0, 3000.0, 3000.0, 129600.0)

    Raises:
        BadParameter: another format, a field out of range (the first may be of any size), or no time at all.
    """
    days, dash, clock = text.rpartition("-")
    fields = clock.split(":")
    units: tuple[int, ...]
    if dash:
        fields, units = [days, *fields], (86400, 3600, 60, 1)
    else:
        units = {1: (60,), 2: (60, 1)}.get(len(fields), (3600, 60, 1))
    if len(fields) > len(units) or not all(field.isascii() and field.isdigit() and len(field) < 10 for field in fields):
        raise click.BadParameter(f"'{text}' is not a time; {_WRITTEN}")
    total = 0
    for place, (field, unit) in enumerate(zip(fields, units, strict=False)):
        limit = 24 if unit == 3600 else 60
        if place and int(field) >= limit:
            raise click.BadParameter(f"'{text}' is not a time: {field} must be below {limit}; {_WRITTEN}")
        total += int(field) * unit
    if total == 0:
        raise click.BadParameter(f"'{text}' is no time at all; {_WRITTEN}")
    return float(total)


def _duration(ctx: click.Context, param: click.Parameter, value: str | None) -> float | None:
    return None if value is None else seconds(value)


def folder(run: Path, resume: str | None) -> Path | None:
    """Where a run writes unless ``--out`` says: None, the folder of what it resumes; or ``runs/NAME`` of NAME.toml."""
    return Path("runs") / run.stem if resume in (None, "auto") else None


@click.command(cls=options.Once)
@options.run_file
@options.overrides
@click.option("--out", type=options.PATH, help="The run's folder; runs/NAME for NAME.toml by default.")
@click.option(
    "--resume",
    metavar="FROM",
    type=options.NAME,
    help="Resume a run's folder or a checkpoint; 'auto': OUT, if it holds one.",
)
@click.option(
    "--max-time",
    metavar="TIME",
    callback=_duration,
    help="Save and stop (exit code 75) before this much time has passed.",
)
@click.option("--force", is_flag=True, help="Take over the folder of a run that is dead, though it seems to be alive.")
@click.option("--quiet", is_flag=True, help="Print warnings and the summary only.")
@together
def train(
    world: World,
    run: Path,
    overrides: tuple[str, ...],
    out: Path | None,
    resume: str | None,
    max_time: float | None,
    force: bool,
    quiet: bool,
) -> int:
    """Train the model that the run file RUN.toml describes.

    Run it alone, or under mpiexec or srun on several ranks, which share each batch.

    \b
    Examples:
      distnn train data/digits.toml
      mpiexec -n 4 distnn train data/digits.toml --set train.epochs=50 --out runs/long
      srun distnn train run.toml --resume auto --max-time 00:50:00

    SIGTERM, SIGUSR1 and a terminal that goes away stop a run once it has saved itself. MPICH's mpiexec kills its ranks
    when its terminal goes away: start it under nohup.

    --max-time takes HH:MM:SS, MM:SS, minutes, or D-HH:MM:SS. The folder gets run.toml (as resolved), metrics.jsonl
    and checkpoints/. Exit codes: 0 finished, 1 error, 2 bad usage, run file or data, 75 stopped early, more to do.
    """
    from distnn import config
    from distnn.report.console import Console
    from distnn.session.run import train as run_training

    settings = config.read(run, overrides)
    foresee(settings.data.path, follow=settings.data.follow, description=settings.data.description())
    reports = world.comm.root or settings.parallel.elastic  # the rank that reports may be another one in the end
    listener = Console(log_interval=settings.log.interval, quiet=quiet) if reports else None
    out = out or folder(run, resume)
    try:
        with config.located(run, overrides):
            summary, _ = run_training(
                settings, out=out, resume=resume, max_time=max_time, force=force, world=world, listener=listener
            )
    finally:
        if listener is not None:
            listener.close()
    return 0 if summary.complete else MORE_TO_DO
