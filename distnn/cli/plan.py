"""``distnn plan``: how fast a run file will train on more nodes, and what that costs."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from distnn.cli import options
from distnn.cli.apart import foresee
from distnn.cli.launch import alone, together
from distnn.errors import UsageError, complain
from distnn.report.output import show, show_json
from distnn.report.table import table

if TYPE_CHECKING:
    from distnn.config import RunSettings
    from distnn.config.site import SiteSettings
    from distnn.parallel.communicator import Communicator
    from distnn.parallel.world import World
    from distnn.scaling.prediction import Machine, Prediction
    from distnn.scaling.rates import Rates
    from distnn.scaling.workload import Workload

#: Whose rates stand for what can't be measured here, where no site is named.
USUAL = "generic"


@click.command(cls=options.Once)
@options.run_file
@click.option(
    "--site", metavar="NAME", help="Predict for archer2, cirrus, generic or a site file, not for this machine."
)
@click.option("--nodes", default="1,2,4,…,64", help="Numbers of nodes; … or ... continues the series.")
@click.option(
    "--ranks-per-node",
    type=click.IntRange(1),
    help="The site's usual number, or as many as are started here, by default.",
)
@click.option("--threads", type=click.IntRange(1), help="Cores of each rank; an equal share of the node's by default.")
@click.option(
    "--efficiency",
    type=click.FloatRange(0, 1, min_open=True),
    default=0.5,
    help="The lowest efficiency that is acceptable.",
)
@click.option(
    "--measure", is_flag=True, help="With --site: measure what can be measured here; only the rest is the site's."
)
@options.overrides
@click.option("--plot", type=options.PATH, help="Also draw step time and efficiency by nodes into this file.")
@options.as_json
@options.trust_code
def plan(run: Path, site: str | None, nodes: str, measure: bool, **others: Any) -> None:
    """Predict how fast the run file RUN.toml trains on more nodes, and what that costs, before you ask for them.

    Without --site, or with --measure, the model's own steps are timed on this machine; started under mpiexec or srun,
    the ranks measure together, all at the same time, and their messages too. What isn't measured is taken from the
    site's rates. The efficiency is the speed of each node divided by that of a single node alone. Hours are those of
    the training steps; evaluations, checkpoints, reading data and the start take more.

    \b
    Example:
      distnn plan data/digits.toml --site archer2 --nodes 1,2,4,…,1024
      mpiexec -n 4 distnn plan run.toml --nodes 1,2,4
      srun --nodes=2 distnn plan run.toml --site archer2 --measure --plot plan.png
    """
    from distnn.scaling.counts import counts

    question = _Question(run, site, counts(nodes), **others)
    (alone(_look_up) if site is not None and not measure else together(_measure))(question)


@dataclass(frozen=True)
class _Question:
    """What the command line asks: of which run, on which machine, and how to answer."""

    run: Path
    site: str | None
    numbers: list[int]
    overrides: tuple[str, ...]
    ranks_per_node: int | None
    threads: int | None
    efficiency: float
    plot: Path | None
    as_json: bool

    def layout(self, site: SiteSettings, settings: RunSettings) -> tuple[int, int]:
        """Ranks of a node and threads of a rank on the site."""
        from distnn.config.site import layout

        return layout(site, str(self.site), self.ranks_per_node, self.threads, settings.parallel.threads)


def _look_up(question: _Question) -> None:
    """Predict from the site's rates alone."""
    import numpy as np

    from distnn import config
    from distnn.config import site as sites
    from distnn.graph.cost import costs
    from distnn.scaling.compute import Estimated
    from distnn.scaling.prediction import Machine
    from distnn.scaling.workload import Workload
    from distnn.session import parts

    settings = config.read(question.run, question.overrides)
    foresee(settings.data.path, follow=settings.data.follow, description=settings.data.description())
    ranks, threads = question.layout(sites.read(str(question.site)), settings)
    with (
        config.located(question.run, question.overrides),
        parts.data_file(settings) as file,
    ):
        model = parts.model(settings, file)
        work = Workload.of(settings, file, model)
    (rates, whose), outputs = _rates(str(question.site), measuring=False), list(model.outputs.values())
    compute = Estimated(
        rates,
        cache(lambda batch: costs(outputs, batch)),
        threads=threads,
        itemsize=np.dtype(settings.train.dtype).itemsize,
        slots=len(settings.optimizer.make().slots),
    )
    _answer(question, work, Machine(rates, compute, ranks), threads, f"all rates are those of {whose}")


def _measure(world: World, question: _Question) -> None:
    """Predict from what the ranks of this launch measure, and the site's rates for the rest."""
    from distnn import config
    from distnn.doctor.rates import measure_rates, measure_work
    from distnn.parallel.threads import blas_threads
    from distnn.scaling.prediction import Machine
    from distnn.scaling.workload import Workload
    from distnn.session import parts

    settings = config.read(question.run, question.overrides)
    foresee(settings.data.path, follow=settings.data.follow, description=settings.data.description())
    world.heartbeat.expect_within(settings.parallel.timeout)
    ranks, cores = _laid_out(world.comm, question, settings)
    with (
        config.located(question.run, question.overrides),
        parts.data_file(settings) as file,
    ):
        model = parts.model(settings, file)
        work = Workload.of(settings, file, model)
        compute = measure_work(
            world,
            settings,
            file,
            model,
            lengths=work.lengths(count * ranks for count in (1, *question.numbers)),
            slices=sorted({work.elements, -(-work.elements // ranks)}),
            cores=cores,
        )
    rates, whose = _rates(question.site or USUAL, measuring=True)
    # The measured steps have their bookkeeping in them.
    rates, sources = measure_rates(world, replace(rates, step=0.0), work.message)
    together = f" on {world.comm.size} ranks at once" if world.comm.size > 1 else ""
    sources = [f"measured here{together}: {', '.join(['steps and updates', *sources])}"]
    sources.append(f"all other rates are those of {whose}")
    if compute.busy != ranks:
        sources.append(
            f"steps were measured with {compute.busy} of {ranks} ranks a node; busy neighbours make them slower: start "
            f"as many (mpiexec -n {ranks})"
        )
    machine, threads = Machine(rates, compute, ranks), blas_threads.now.count
    world.comm.on_root(lambda: _answer(question, work, machine, threads, *sources))


def _laid_out(comm: Communicator, question: _Question, settings: RunSettings) -> tuple[int, int]:
    """Ranks of a node and its cores, where this rank now has the threads that are asked for."""
    from distnn.config import site as sites
    from distnn.doctor.facts import node_cores
    from distnn.parallel.threads import blas_threads
    from distnn.session.build import use_threads

    use_threads(settings.parallel)
    if question.site is None:
        ranks, threads, cores = question.ranks_per_node or comm.node().size, question.threads, node_cores()
    else:
        site = sites.read(question.site)
        (ranks, threads), cores = question.layout(site, settings), site.node.cores
    if threads is not None and threads != blas_threads.now.count:
        blas_threads.use(threads, "--threads, or the site's")
    return ranks, cores


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


def _answer(question: _Question, work: Workload, machine: Machine, threads: int, *sources: str) -> None:
    """Print the predictions and what follows from them, or the same as JSON; and draw them."""
    from distnn.report.words import count
    from distnn.scaling.prediction import largest

    predictions = machine.predict(work, question.numbers)
    most = largest(machine, work, question.numbers[-1], question.efficiency)
    if question.as_json:
        facts = {"ranks_per_node": machine.ranks, "threads": threads, "sources": sources}
        results = {"predictions": [each.to_dict() for each in predictions], "largest": most.to_dict()}
        show_json(facts | {"rates": asdict(machine.rates)} | results)
    else:
        show(_table(predictions))
        places = f"{count(most.ranks, 'rank')} on {count(most.nodes, 'node')}"
        show(
            f"with an efficiency of {question.efficiency:g} or better, up to {question.numbers[-1]:,} nodes, at most: "
            f"{places}, {_hours(most.node_hours)} node-hours in {_hours(most.hours)} hours"
        )
        show(f"{count(machine.ranks, 'rank')} a node, {count(threads, 'thread')} each; {'; '.join(sources)}")
    if question.plot is not None:
        from distnn.report import figures

        layout = f"{machine.ranks} × {threads} cores a node, {question.site or 'here'}"
        figures.prediction(predictions, question.plot, f"{question.run.name}, {layout}", question.efficiency)
        (complain if question.as_json else show)(f"drew {question.plot}")


def _table(predictions: list[Prediction]) -> str:
    """A row for each number of nodes."""
    parts = ("compute", "reduce", "update", "step")
    head = ["nodes", "ranks", *(f"{part}\nms" for part in parts), "efficiency", "samples/s", "hours", "node-\nhours"]
    rows = [
        [
            *(f"{each.nodes:,}", f"{each.ranks:,}", *(_milliseconds(getattr(each, part)) for part in parts)),
            *(f"{each.efficiency:.2f}", f"{each.samples_per_s:,.0f}", _hours(each.hours), _hours(each.node_hours)),
        ]
        for each in predictions
    ]
    return table(head, rows, texts=0)


def _milliseconds(seconds: float) -> str:
    """``12.345``; of a second and more, whole ones."""
    return f"{1e3 * seconds:,.{3 if seconds < 1 else 0}f}"


def _hours(number: float) -> str:
    """``1.25``; ``<0.001`` for less than a few seconds."""
    return f"{number:,.3g}" if number >= 0.001 else "<0.001"
