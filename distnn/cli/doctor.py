"""``distnn doctor``: what a launch really is, and what is wrong with it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from distnn.cli import options
from distnn.cli.launch import together
from distnn.report.output import show
from distnn.report.table import table

if TYPE_CHECKING:
    from distnn.doctor.facts import Examination, Rank
    from distnn.parallel.world import World

#: More ranks than these are shown host by host.
ROWS = 32


@click.command()
@click.argument("folder", default=".", type=click.Path(path_type=Path, exists=True, file_okay=False))
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
        show(json.dumps(examination.to_dict() | {"advice": lines}))
        return
    ranks, nodes = examination.ranks, examination.nodes
    show(_by_rank(ranks) if len(ranks) <= ROWS else _by_host(examination))
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


def _by_rank(ranks: list[Rank]) -> str:
    """A row for each rank."""
    from distnn.doctor.advice import spans

    rows = [
        [
            *(str(rank.rank), rank.host, f"{spans(rank.cores)} of {rank.node_cores}", str(rank.threads)),
            *(f"{rank.sgemm:.1f}", f"{rank.copy:.1f}"),
        ]
        for rank in ranks
    ]
    return table(["rank", "host", "cores", "threads", "sgemm\nGFLOP/s", "copy\nGB/s"], rows, texts=3)


def _by_host(examination: Examination) -> str:
    """A row for each node."""
    from distnn.doctor.advice import spans

    rows = []
    for node in examination.nodes:
        ranks = [examination.ranks[rank] for rank in node]
        cores = {core for rank in ranks for core in rank.cores}
        threads = sum(rank.threads for rank in ranks)
        slowest, copy = min(rank.sgemm for rank in ranks), sum(rank.copy for rank in ranks)
        names = (spans(node), ranks[0].host, f"{len(cores)} of {ranks[0].node_cores}")
        rows.append([*names, str(threads), f"{slowest:.1f}", f"{copy:.1f}"])
    head = ["ranks", "host", "cores", "threads", "slowest sgemm\nGFLOP/s", "copy, all ranks\nGB/s"]
    return table(head, rows, texts=3)


def _sum(size: int, seconds: float) -> str:
    """``64 KiB in 0.15 ms (437 MB/s)``."""
    unit, name = next((u, n) for u, n in ((1024**2, "MiB"), (1024, "KiB"), (1, "B")) if size >= u)
    speed = f" ({size / seconds / 1e6:,.0f} MB/s)" if unit > 1 else ""
    return f"{size // unit} {name} in {1e6 * seconds:,.1f} µs{speed}"
