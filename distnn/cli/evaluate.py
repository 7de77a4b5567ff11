"""``distnn evaluate``: the loss and accuracy of a checkpoint on a data file."""

from __future__ import annotations

import json

import click


@click.command()
@click.argument("checkpoint")
@click.argument("data")
@click.option("--split", default="test", show_default=True, help="train, validation or test.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object: loss, samples, accuracy; bits for text.")
def evaluate(checkpoint: str, data: str, split: str, as_json: bool) -> None:
    """Evaluate CHECKPOINT (a file, `latest`, or a run's folder) on the data file DATA.

    \b
    Example:
      distnn evaluate runs/digits data/digits.h5
      mpiexec -n 4 distnn evaluate runs/digits/checkpoints/best data/digits.h5 --split validation --json
    """
    from distnn.data.file.hdf5 import DataFile
    from distnn.inference.load import restore
    from distnn.parallel.world import World
    from distnn.supervision.guard import guarded
    from distnn.supervision.watchdog import starting

    with starting():
        world = World.open()
    with guarded(world, watched=True):
        restored = restore(checkpoint, world.comm)
        with DataFile(data, world.comm.mpi) as file:
            result = restored.evaluate(file, split, world)
    if not world.comm.root:
        return
    if as_json:
        found = {"accuracy": result.accuracy, "bits": result.bits}
        report = {"loss": result.loss, "samples": result.samples}
        report |= {name: value for name, value in found.items() if value is not None}
        click.echo(json.dumps(report))
    else:
        bits = f", {result.bits:.4f} bits per character" if result.bits is not None else ""
        accuracy = f", accuracy {result.accuracy:.4f}" if result.accuracy is not None else ""
        click.echo(f"{split}: loss {result.loss:.6g}{bits}{accuracy} ({result.samples} samples, {restored.path})")
