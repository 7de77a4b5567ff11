"""``distnn predict``: what a checkpoint predicts for a data file, as HDF5."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from distnn import outputs
from distnn.cli import options
from distnn.cli.apart import foresee
from distnn.cli.launch import together
from distnn.report.output import show

if TYPE_CHECKING:
    from distnn.parallel.world import World


@click.command()
@click.argument("checkpoint", type=options.NAME)
@click.argument("data", type=options.NAME)
@click.option("-o", "--output", required=True, type=options.PATH, help="The HDF5 file to write.")
@options.split
@click.option("--force", is_flag=True, help="Replace the output file if it exists.")
@options.last
@options.follow
@options.trust_code
@together
def predict(
    world: World, checkpoint: str, data: str, output: Path, split: str, force: bool, last: bool, follow: bool
) -> None:
    """Predict with CHECKPOINT for the samples of the data file DATA.

    CHECKPOINT is a file, a link such as `latest`, or a run's folder: its best checkpoint, or the latest with --last.

    OUTPUT gets `y_pred`, and for classification `probabilities` (N, C) and the attribute `classes`.

    \b
    Example:
      distnn predict runs/digits data/digits.h5 -o predictions.h5
    """
    from distnn.data import DataFile
    from distnn.inference.load import restore

    world.comm.on_root(lambda: outputs.check(output, force=force))  # before the work
    foresee(data, follow=follow)
    restored = restore(checkpoint, world.comm, last=last)
    world.heartbeat.expect_within(restored.settings.parallel.timeout)
    with DataFile(data, world.comm.mpi, follow=follow, transforms=restored.settings.transforms.make()) as file:
        predictions = restored.predict(file, split, world)
    about = {"checkpoint": str(restored.path.resolve()), "data": str(Path(data).resolve()), "split": split}
    world.heartbeat.beat("the file of predictions")
    predictions.write(output, world.comm, about=about, force=force)
    world.comm.on_root(lambda: show(restored.origin, sys.stderr))
    world.comm.on_root(lambda: show(f"wrote {predictions.total} predictions for {split} of {data} to {output}"))
