"""``distnn evaluate``: the loss and accuracy of a checkpoint on a data file."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from distnn.cli import options
from distnn.cli.apart import foresee
from distnn.cli.launch import together
from distnn.report.output import remark, show, show_json

if TYPE_CHECKING:
    from collections.abc import Mapping

    from distnn.inference.restored import Restored
    from distnn.metrics import Value
    from distnn.parallel.world import World
    from distnn.sums import Sums


@click.command(cls=options.Once)
@click.argument("checkpoint", type=options.NAME)
@click.argument("data", type=options.NAME)
@options.split
@click.option(
    "--json",
    "as_json",
    is_flag=True,
    help="Print one JSON object: loss and its unit, samples, accuracy; bits for text; classes; the metrics.",
)
@options.last
@options.follow
@options.trust_code
@together
def evaluate(world: World, checkpoint: str, data: str, split: str, as_json: bool, last: bool, follow: bool) -> None:
    """Evaluate CHECKPOINT on the data file DATA.

    CHECKPOINT is a file, a link such as `latest`, or a run's folder: its best checkpoint, or the latest with --last.

    \b
    Example:
      distnn evaluate runs/digits data/digits.h5
      mpiexec -n 4 distnn evaluate runs/digits/checkpoints/best data/digits.h5 --split validation --json
    """
    from distnn.inference.load import restore

    foresee(data, follow=follow)
    restored = restore(checkpoint, world.comm, last=last)
    world.heartbeat.expect_within(restored.settings.parallel.timeout)
    with restored.opened(data, world.comm.mpi, split=split, answers=True, follow=follow) as file:
        world.comm.on_root(lambda: remark(file.path, file.remarks()))
        sums, metrics = restored.evaluate(file, split, world)
    world.comm.on_root(lambda: _show(sums, metrics, split, restored, as_json=as_json))


def _show(sums: Sums, metrics: Mapping[str, Value], split: str, restored: Restored, *, as_json: bool) -> None:
    """Print the scores."""
    from distnn.report import words
    from distnn.session.parts import loss_in_words

    show(restored.origin, sys.stderr)
    _, unit = loss_in_words(restored.model, restored.settings)
    if as_json:
        scores, classes = {"accuracy": sums.accuracy, "bits": sums.bits}, list(restored.model.classes)
        about = {"loss_unit": unit or None, "classes": classes or None, "checkpoint": str(restored.path)}
        facts = {"loss": sums.mean_loss, "samples": sums.samples, "step": restored.progress["step"]}
        given = {name: value for name, value in (scores | about).items() if value is not None}
        show_json(facts | given | {"split": split} | dict(metrics))
        return
    bits = f", {sums.bits:.4f} bits per character" if sums.bits is not None else ""
    accuracy = f", accuracy {sums.accuracy:.4f}" if sums.accuracy is not None else ""
    of = f" {unit}" if unit else ""
    show(f"{split}: loss {sums.mean_loss:.6g}{of}{bits}{accuracy} ({sums.samples} samples, {restored.path})")
    if text := words.metrics(metrics).strip():
        show(text)
    for line in words.tables(metrics, restored.model.classes):
        show(line)
