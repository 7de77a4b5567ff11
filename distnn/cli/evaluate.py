"""``distnn evaluate``: the loss and accuracy of a checkpoint on a data file."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from distnn.cli import options
from distnn.cli.launch import together
from distnn.report.output import show

if TYPE_CHECKING:
    from distnn.inference.load import Restored
    from distnn.parallel.world import World
    from distnn.train.evaluate import Result


@click.command()
@click.argument("checkpoint")
@click.argument("data")
@options.split
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object: loss, samples, accuracy; bits for text.")
@together
def evaluate(world: World, checkpoint: str, data: str, split: str, as_json: bool) -> None:
    """Evaluate CHECKPOINT (a file, `latest`, or a run's folder) on the data file DATA.

    \b
    Example:
      distnn evaluate runs/digits data/digits.h5
      mpiexec -n 4 distnn evaluate runs/digits/checkpoints/best data/digits.h5 --split validation --json
    """
    from distnn.data import DataFile
    from distnn.inference.load import restore

    restored = restore(checkpoint, world.comm)
    world.heartbeat.expect_within(restored.settings.parallel.timeout)
    with DataFile(data, world.comm.mpi) as file:
        result = restored.evaluate(file, split, world)
    world.comm.on_root(lambda: _show(result, split, restored, as_json=as_json))


def _show(result: Result, split: str, restored: Restored, *, as_json: bool) -> None:
    """Print the scores."""
    if as_json:
        scores = {"accuracy": result.accuracy, "bits": result.bits}
        facts = {"loss": result.loss, "samples": result.samples}
        show(json.dumps(facts | {name: value for name, value in scores.items() if value is not None}))
        return
    bits = f", {result.bits:.4f} bits per character" if result.bits is not None else ""
    accuracy = f", accuracy {result.accuracy:.4f}" if result.accuracy is not None else ""
    show(f"{split}: loss {result.loss:.6g}{bits}{accuracy} ({result.samples} samples, {restored.path})")
