"""``distnn plan``: how fast a run file will train on more nodes, and what that costs."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from distnn.errors import UsageError
from distnn.runtime import launch_rank

if TYPE_CHECKING:
    from distnn.config import RunSettings
    from distnn.config.site import SiteSettings
    from distnn.parallel.communicator import Communicator
    from distnn.scaling.prediction import Machine, Prediction
    from distnn.scaling.rates import Rates
    from distnn.scaling.work import Work

#: Whose rates stand for what can't be measured here, where no site is named.
USUAL = "generic"
#: What the table needs.
_WIDTH = 130


@dataclass
class Outlook:
    """What is predicted, and from what.

    Attributes:
        work: of the run file.
        machine: the nodes, with so many ``ranks`` on each, of so many ``threads``.
        sources: where the rates come from, in words.
    """

    work: Work
    machine: Machine
    threads: int
    sources: list[str] = field(default_factory=list)


@click.command()
@click.argument("run", metavar="RUN.toml", type=click.Path(path_type=Path))
@click.option("--site", metavar="NAME", help="Predict for archer2, cirrus or generic, or by a site file; not for here.")
@click.option("--nodes", default="1,2,4,…,64", show_default=True, help="Numbers of nodes; … or ... goes on like this.")
@click.option("--ranks-per-node", type=click.IntRange(1), help="The site's usual number, or as launched here.")
@click.option("--threads", type=click.IntRange(1), help="Cores of each rank; what the node has for each by default.")
@click.option(
    "--efficiency",
    type=click.FloatRange(0, 1, min_open=True),
    default=0.5,
    show_default=True,
    help="What makes a number of ranks sensible.",
)
@click.option("--measure", is_flag=True, help="With --site: measure here what can be, and take only the rest from it.")
@click.option("--set", "overrides", metavar="KEY=VALUE", multiple=True, help="Override a key; give it again for more.")
@click.option("--plot", type=click.Path(path_type=Path), help="Also draw step time and efficiency by nodes to a file.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def plan(
    run: Path,
    site: str | None,
    nodes: str,
    ranks_per_node: int | None,
    threads: int | None,
    efficiency: float,
    measure: bool,
    overrides: tuple[str, ...],
    plot: Path | None,
    as_json: bool,
) -> None:
    """Predict how fast the run file RUN.toml trains on so many nodes, and what it costs, before asking for them.

    Without --site, or with --measure, the model's own steps are timed on this machine; started under mpiexec or srun,
    the ranks measure together, all at the same time, and their messages too. What isn't measured is taken from the
    site's rates. The efficiency is that of a node, compared with a single one. Hours are those of the training steps:
    evaluations, checkpoints, reading data and the start come on top.

    \b
    Example:
      distnn plan data/digits.toml --site archer2 --nodes 1,2,4,…,1024
      mpiexec -n 4 distnn plan run.toml --nodes 1,2,4
      srun --nodes=2 distnn plan run.toml --site archer2 --measure --plot plan.png
    """
    from distnn.scaling.counts import counts

    numbers = counts(nodes)
    asked = _Asked(run, overrides, site, ranks_per_node, threads)
    if site is not None and not measure:
        if launch_rank():
            return
        outlook = _looked_up(asked)
    else:
        from distnn.parallel.world import World
        from distnn.supervision.guard import guarded

        world = World.open()
        with guarded(world):
            outlook = _measured(asked, world.comm, numbers)
        if not world.comm.root:
            return
    predictions = outlook.machine.predict(outlook.work, numbers)
    _tell(outlook, predictions, numbers, efficiency, as_json=as_json)
    if plot is not None:
        from distnn.report import scaling

        title = f"{run.name}, {outlook.machine.ranks} × {outlook.threads} cores a node, {site or 'here'}"
        scaling.plot(predictions, plot, title, efficiency)
        click.echo(f"drew {plot}", err=as_json)


@dataclass(frozen=True)
class _Asked:
    """What the command line says of the run and the machine."""

    run: Path
    overrides: tuple[str, ...]
    site: str | None
    ranks: int | None
    threads: int | None

    def layout(self, site: SiteSettings, settings: RunSettings) -> tuple[int, int]:
        """Ranks of a node and threads of a rank on the site."""
        from distnn.config.site import layout

        return layout(site, str(self.site), self.ranks, self.threads, settings.parallel.threads)


def _looked_up(asked: _Asked) -> Outlook:
    """From the site's rates alone."""
    import numpy as np

    from distnn import config
    from distnn.config import site as sites
    from distnn.data.file.hdf5 import DataFile
    from distnn.graph.cost import costs
    from distnn.scaling.compute import Estimated
    from distnn.scaling.prediction import Machine
    from distnn.scaling.work import Work
    from distnn.session import parts

    settings = config.read(asked.run, asked.overrides)
    site = sites.read(str(asked.site))
    ranks, threads = asked.layout(site, settings)
    with config.located(asked.run, asked.overrides), DataFile(settings.data.path) as file:
        model = parts.model(settings, file)
        work = Work.of(settings, file, model, parts.batch_size(settings, file))
    (rates, whose), outputs = _rates(str(asked.site), measuring=False), list(model.outputs.values())
    compute = Estimated(
        rates,
        lambda batch: costs(outputs, batch),
        threads=threads,
        itemsize=np.dtype(settings.train.dtype).itemsize,
        slots=len(parts.optimizer(settings).slots),
    )
    return Outlook(work, Machine(rates, compute, ranks), threads, [f"all rates are those of {whose}"])


def _measured(asked: _Asked, comm: Communicator, numbers: list[int]) -> Outlook:
    """From what the ranks of this launch measure, and the site's rates for the rest."""
    from distnn import config
    from distnn.config import site as sites
    from distnn.data.file.hdf5 import DataFile
    from distnn.doctor.facts import node_cores
    from distnn.doctor.rates import measure_rates, measure_work
    from distnn.parallel.threads import blas_threads
    from distnn.scaling.prediction import Machine
    from distnn.scaling.work import Work
    from distnn.session import parts
    from distnn.session.build import use_threads

    settings = config.read(asked.run, asked.overrides)
    site = sites.read(asked.site or USUAL)
    use_threads(settings.parallel)
    ranks, threads = asked.layout(site, settings) if asked.site else (asked.ranks or comm.node().size, asked.threads)
    if threads is not None and threads != blas_threads.now.count:
        blas_threads.use(threads, "--threads, or the site's")
    with config.located(asked.run, asked.overrides), DataFile(settings.data.path) as file:
        model = parts.model(settings, file)
        work = Work.of(settings, file, model, parts.batch_size(settings, file))
        slices = {work.elements, -(-work.elements // ranks)}
        lengths = work.lengths(count * ranks for count in (1, *numbers))
        cores = site.node.cores if asked.site else node_cores()
        compute = measure_work(comm, settings, file, model, lengths=lengths, slices=sorted(slices), cores=cores)
    rates, whose = _rates(asked.site or USUAL, measuring=True)
    # The measured steps have their bookkeeping in them.
    rates, sources = measure_rates(comm, replace(rates, step=0.0), work.message)
    together = f" on {comm.size} ranks at once" if comm.size > 1 else ""
    sources = [f"measured here{together}: {', '.join(['steps and updates', *sources])}"]
    sources.append(f"all other rates are those of {whose}")
    if compute.busy != ranks:
        sources.append(
            f"steps were measured with {compute.busy} of {ranks} ranks a node; busy neighbours make them slower: start "
            f"as many (mpiexec -n {ranks})"
        )
    return Outlook(work, Machine(rates, compute, ranks), blas_threads.now.count, sources)


def _rates(name: str, *, measuring: bool) -> tuple[Rates, str]:
    """A site's rates, or the usual ones for what isn't measured if it has none; and whose they are.

    Raises:
        UsageError: if it has none and nothing is measured.
    """
    from distnn.config import site as sites
    from distnn.scaling.rates import Rates

    given = sites.read(name).rates
    if given is None and measuring:
        return _rates(USUAL, measuring=False)
    if given is None:
        raise UsageError(
            f"the site {name} has no section [rates] to predict from; add one to its file, or start distnn there with "
            f"--measure, which takes from {USUAL} what it can't measure."
        )
    return Rates.of(given), name


def _tell(
    outlook: Outlook, predictions: list[Prediction], numbers: list[int], efficiency: float, *, as_json: bool
) -> None:
    """Print the table and what follows from it, or the same as JSON."""
    from distnn.report.words import count
    from distnn.scaling.prediction import largest

    most = largest(outlook.machine, outlook.work, numbers[-1], efficiency)
    if as_json:
        facts = {"ranks_per_node": outlook.machine.ranks, "threads": outlook.threads, "sources": outlook.sources}
        found = {"predictions": [each.to_dict() for each in predictions], "largest": most.to_dict()}
        click.echo(json.dumps(facts | {"rates": asdict(outlook.machine.rates)} | found))
        return
    _show(predictions)
    places = f"{count(most.ranks, 'rank')} on {count(most.nodes, 'node')}"
    click.echo(
        f"with an efficiency of {efficiency:g} or better, up to {numbers[-1]:,} nodes, at most: {places}, "
        f"{_hours(most.node_hours)} node-hours in {_hours(most.hours)} hours"
    )
    layout = f"{count(outlook.machine.ranks, 'rank')} a node, {count(outlook.threads, 'thread')} each"
    click.echo(f"{layout}; {'; '.join(outlook.sources)}")


def _show(predictions: list[Prediction]) -> None:
    """The table."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD)
    parts = ("compute", "reduce", "update", "step")
    for column in ("nodes", "ranks", *(f"{part} ms" for part in parts), "efficiency", "samples/s", "hours"):
        table.add_column(column, justify="right")
    table.add_column("node-hours", justify="right")
    for each in predictions:
        times = [f"{1e3 * getattr(each, part):,.3f}" for part in parts]
        table.add_row(
            f"{each.nodes:,}",
            f"{each.ranks:,}",
            *times,
            f"{each.efficiency:.2f}",
            f"{each.samples_per_s:,.0f}",
            _hours(each.hours),
            _hours(each.node_hours),
        )
    console = Console(markup=False, highlight=False, emoji=False)
    # Cut columns can't be read; lines that a narrow terminal wraps can.
    console.width = max(console.width if console.is_terminal else 0, _WIDTH)
    console.print(table)


def _hours(number: float) -> str:
    """``1.25``; what is less than a few seconds isn't worth its digits."""
    return f"{number:,.3g}" if number >= 0.001 else "< 0.001"
