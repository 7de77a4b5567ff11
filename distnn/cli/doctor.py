"""``distnn doctor``: what a launch really is, and what is wrong with it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from rich.table import Table

    from distnn.doctor.facts import Examination, Rank

#: More ranks than these are shown host by host.
ROWS = 32
#: A log has no width of its own.
_LOG_WIDTH = 160


@click.command()
@click.argument("folder", default=".", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def doctor(folder: Path, as_json: bool) -> None:
    """What this launch really is: ranks, hosts, cores, threads, BLAS, MPI, HDF5 and its locks in FOLDER, speeds.

    Start it as you would start the training; it takes some seconds. Each thing found wrong has a line of advice.

    \b
    Example:
      mpiexec -n 4 distnn doctor
      srun --nodes=2 --ntasks-per-node=128 distnn doctor /work/project/runs
    """
    from distnn.doctor.advice import advice
    from distnn.doctor.facts import examine
    from distnn.parallel.world import World
    from distnn.supervision.guard import guarded

    world = World.open()
    with guarded(world):
        found = examine(world.comm, folder)
    if not world.comm.root:
        return
    lines = advice(found)
    if as_json:
        click.echo(json.dumps(found.to_dict() | {"advice": lines}))
        return
    _show(found)
    for line in lines or ["nothing found wrong"]:
        click.echo(f"- {line}" if lines else line)


def _show(found: Examination) -> None:
    """The table, and what the ranks have together."""
    from rich.console import Console

    from distnn.report.words import count

    console = Console(markup=False, highlight=False, emoji=False)
    if not console.is_terminal:
        console = Console(width=_LOG_WIDTH, markup=False, highlight=False, emoji=False)
    console.print(_ranks(found) if len(found.ranks) <= ROWS else _hosts(found))
    first = found.ranks[0]
    click.echo(f"{count(len(found.ranks), 'rank')} on {count(len(found.nodes), 'node')}; {first.cpu}")
    click.echo(f"BLAS   {first.blas or 'unknown'}; threads: {first.reason}")
    click.echo(f"MPI    {found.mpi}" + (f"  ({found.mpi_path})" if found.mpi_path else ""))
    click.echo(f"HDF5   {found.hdf5}; locks in {found.folder}: {first.locks or 'they work'}")
    if len(found.ranks) > 1:
        click.echo(f"Allreduce   {', '.join(_sum(size, seconds) for size, seconds in found.allreduce)}")


def _ranks(found: Examination) -> Table:
    """A row for each rank."""
    table = _table("rank", "host", "cores", "threads", "sgemm GFLOP/s", "copy GB/s")
    for rank in found.ranks:
        table.add_row(
            str(rank.rank), rank.host, _cores(rank), str(rank.threads), f"{rank.sgemm:.1f}", f"{rank.copy:.1f}"
        )
    return table


def _hosts(found: Examination) -> Table:
    """A row for each node."""
    from distnn.doctor.advice import spans

    table = _table("ranks", "host", "cores", "threads", "sgemm GFLOP/s (slowest)", "copy GB/s (all)")
    for node in found.nodes:
        ranks = [found.ranks[rank] for rank in node]
        cores = {core for rank in ranks for core in rank.cores}
        slowest, copy = min(rank.sgemm for rank in ranks), sum(rank.copy for rank in ranks)
        threads = sum(rank.threads for rank in ranks)
        table.add_row(
            spans(node),
            ranks[0].host,
            f"{len(cores)} of {ranks[0].node_cores}",
            str(threads),
            f"{slowest:.1f}",
            f"{copy:.1f}",
        )
    return table


def _table(*columns: str) -> Table:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD)
    for place, column in enumerate(columns):
        table.add_column(column, justify="right" if place > 2 else "left")
    return table


def _cores(rank: Rank) -> str:
    """``0-3 of 8``."""
    from distnn.doctor.advice import spans

    return f"{spans(rank.cores)} of {rank.node_cores}"


def _sum(size: int, seconds: float) -> str:
    """``64 KiB in 0.15 ms (437 MB/s)``."""
    unit, name = next((u, n) for u, n in ((1024**2, "MiB"), (1024, "KiB"), (1, "B")) if size >= u)
    speed = f" ({size / seconds / 1e6:,.0f} MB/s)" if unit > 1 else ""
    return f"{size // unit} {name} in {1e6 * seconds:,.1f} µs{speed}"
