"""``distnn doctor``: what a launch really is, and what is wrong with it."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from distnn.cli import options
from distnn.cli.launch import together
from distnn.report.output import show, show_json
from distnn.report.table import table

if TYPE_CHECKING:
    from distnn.doctor.facts import Examination
    from distnn.parallel.world import World

#: More ranks than these are shown host by host.
ROWS = 32


@click.command(cls=options.Once)
@click.argument("folder", default=".", type=options.Name(path_type=Path, exists=True, file_okay=False))
@options.as_json
@together
def doctor(world: World, folder: Path, as_json: bool) -> None:
    """Check this launch: ranks, hosts, cores, threads, BLAS, MPI, speeds, and HDF5 with its locks in FOLDER.

    Start it as you would start the training; it takes some seconds. It prints a line of advice for each fault.

    \b
    Example:
      mpiexec -n 4 distnn doctor
      srun --nodes=2 --ntasks-per-node=128 distnn doctor /work/project/runs
    """
    from distnn.doctor.facts import examine

    examination = examine(world, folder)
    world.comm.on_root(lambda: _show(examination, as_json=as_json))


def _show(examination: Examination, *, as_json: bool) -> None:
    """Print the table, what the ranks have in common, and the advice."""
    from distnn.doctor.advice import advice
    from distnn.report.words import count

    lines = advice(examination)
    if as_json:
        show_json(asdict(examination) | {"advice": lines})
        return
    ranks, nodes = examination.ranks, examination.nodes
    show(_table(examination, by_rank=len(ranks) <= ROWS))
    first = ranks[0]
    show(f"{count(len(ranks), 'rank')} on {count(len(nodes), 'node')}; {first.cpu}")
    show(f"BLAS   {first.blas or 'unknown'}; threads: {first.reason}")
    show(f"MPI    {examination.mpi}" + (f"  ({examination.mpi_path})" if examination.mpi_path else ""))
    show(f"HDF5   {examination.hdf5}; locks in {examination.folder}: {first.locks or 'they work'}")
    if len(ranks) > 1:
        show(f"Allreduce   {', '.join(_sum(size, seconds) for size, seconds in examination.allreduce)}")
    for line in lines:
        show(f"- {line}")
    if not lines:
        show("no faults were found")


def _table(examination: Examination, *, by_rank: bool) -> str:
    """A row for each rank, or for each node."""
    from distnn.doctor.advice import spans

    rows = []
    for numbers in [[rank.rank] for rank in examination.ranks] if by_rank else examination.nodes:
        ranks = [examination.ranks[number] for number in numbers]
        cores = sorted({core for rank in ranks for core in rank.cores})
        used = f"{spans(cores) if by_rank else len(cores)} of {ranks[0].node_cores}"
        slowest, copy = min(rank.sgemm for rank in ranks), sum(rank.copy for rank in ranks)
        threads = sum(rank.threads for rank in ranks)
        rows.append([spans(numbers), ranks[0].host, used, str(threads), f"{slowest:.1f}", f"{copy:.1f}"])
    which, speeds = ("rank", ("sgemm", "copy")) if by_rank else ("ranks", ("slowest sgemm", "copy, all ranks"))
    head = [which, "host", "cores", "threads", f"{speeds[0]}\nGFLOP/s", f"{speeds[1]}\nGB/s"]
    return table(head, rows, texts=3)


def _sum(size: int, seconds: float) -> str:
    """``64 KiB in 0.15 ms (437 MB/s)``."""
    unit, name = next((u, n) for u, n in ((1024**2, "MiB"), (1024, "KiB"), (1, "B")) if size >= u)
    speed = f" ({size / seconds / 1e6:,.0f} MB/s)" if unit > 1 else ""
    return f"{size // unit} {name} in {1e6 * seconds:,.1f} µs{speed}"
