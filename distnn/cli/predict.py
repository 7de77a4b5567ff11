"""``distnn predict``: what a checkpoint predicts for a data file, as HDF5."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from distnn.cli import options
from distnn.cli.apart import foresee
from distnn.cli.launch import together
from distnn.report.output import remark, show

if TYPE_CHECKING:
    from distnn.parallel.world import World


@click.command(cls=options.Once)
@click.argument("checkpoint", type=options.NAME)
@click.argument("data", type=options.NAME)
@click.option(
    "-o", "--output", required=True, type=options.PATH, help="The file to write: .h5, .csv, .parquet or .npz."
)
@options.split
@click.option("--x", metavar="NAME", help="The dataset of DATA with the samples, or the array of an npz file.")
@click.option("--force", is_flag=True, help="Replace the output file if it exists.")
@options.last
@options.follow
@options.trust_code
@together
def predict(
    world: World,
    checkpoint: str,
    data: str,
    output: Path,
    split: str,
    x: str | None,
    force: bool,
    last: bool,
    follow: bool,
) -> None:
    """Predict with CHECKPOINT for the samples of the data file DATA.

    DATA is an HDF5 file with samples in the group --split, or with nothing but samples; or a table (.csv, .tsv,
    .parquet) or an archive of numpy (.npz). Columns are matched by name with the features of training, where these are
    known, and else taken in their order.

    CHECKPOINT is a file, a link such as `latest`, or a run's folder: its best checkpoint, or the latest with --last.

    The ending of OUTPUT says what is written. HDF5 (.h5): `y_pred`, `row` (which sample of its split each is, from 0),
    `y_true` where the answers are known, and for classification `probabilities` (N, C), `class` (the predicted name),
    and the attribute `classes`. A table (.csv, .parquet, .npz): the columns row, prediction and truth, for
    classification by name and with probability_NAME of each class, for several targets prediction_NAME and truth_NAME.
    Parquet needs pip install 'distnn[tables]'.

    \b
    Example:
      distnn predict runs/digits data/digits.h5 -o predictions.h5
      distnn predict runs/digits data/digits.h5 -o predictions.csv --split validation
    """
    from distnn.data.predictions import check_output
    from distnn.inference.load import restore

    world.comm.on_root(lambda: check_output(output, force=force))  # before the work
    foresee(data, follow=follow)
    restored = restore(checkpoint, world.comm, last=last)
    world.heartbeat.expect_within(restored.settings.parallel.timeout)
    source, mpi = Path(data), world.comm.mpi
    with restored.as_data_file(source, output.parent, split, x, world.comm) as place:
        x = None if place != source else x
        with restored.opened(source, mpi, split=split, answers=False, follow=follow, x=x, place=place) as file:
            predictions = restored.predict(file, split, world)
            world.comm.on_root(lambda: remark(source, [*file.remarks(), *predictions.remarks]))
    about = {"checkpoint": str(restored.path.resolve()), "data": str(Path(data).resolve()), "split": split}
    world.heartbeat.beat("the file of predictions")
    predictions.write(output, world.comm, about=about, force=force)
    world.comm.on_root(lambda: show(restored.origin, sys.stderr))
    world.comm.on_root(lambda: show(f"wrote {predictions.total} predictions for {split} of {data} to {output}"))
