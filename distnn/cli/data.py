"""``distnn data``: make a data file, from the digits that distnn ships or from files in another format.

The converters are imported by the command that needs one: ``distnn --help`` loads neither numpy nor HDF5.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from distnn import outputs
from distnn.cli import options
from distnn.cli.launch import alone
from distnn.report.output import show

Command = Callable[..., Any]

FILE = options.Name(dir_okay=False, path_type=Path)
FOLDER = options.Name(file_okay=False, path_type=Path)
TASK = click.Choice(["classification", "regression"])
PIXELS = click.Choice(["classification", "regression", "segmentation"])
FRACTION = click.FloatRange(0, 1, max_open=True)
COUNT = click.IntRange(min=0)
KEPT = "How many of the last training images to keep for validation"


@click.group()
def data() -> None:
    """Make an HDF5 data file for training.

    \b
    Examples:
      distnn data digits -o digits.h5
      distnn data csv wine.csv --target quality -o wine.h5
    """


def writes(command: Command) -> Command:
    """The options of every command that writes a data file, which one rank does."""
    overwrite = click.option("--force", is_flag=True, help="Replace FILE.h5 if it is already there.")
    output = click.option("-o", "--output", metavar="FILE.h5", type=FILE, required=True, help="The data file to write.")

    @functools.wraps(command)
    def checked(*, output: Path, force: bool, **others: Any) -> None:
        outputs.check(output, force=force)  # before the work
        command(output=output, force=force, **others)

    return output(overwrite(alone(checked)))


def cuts(command: Command) -> Command:
    """The options of a command that can split one table of samples at random."""

    @functools.wraps(command)
    def checked(*, validation: float | None, test: float | None, seed: int, **others: Any) -> None:
        from distnn.data.convert.splits import Shares

        command(cutting=Shares(validation, test, seed), **others)

    seed = click.option("--seed", type=COUNT, default=0, help="Seed of the random split.")
    test = click.option("--test", type=FRACTION, help="Fraction of the samples to test with.  [default: 0.1]")
    validation = click.option(
        "--validation", type=FRACTION, help="Fraction of the samples to validate with.  [default: 0.1]"
    )
    return validation(test(seed(checked)))


@data.command(cls=options.Once)
@writes
def digits(output: Path, force: bool) -> None:
    """Handwritten digits, shipped with distnn.

    1797 images of 8×8 pixels, 10 classes.

    \b
    Example:
      distnn data digits -o digits.h5
    """
    from distnn.data.convert.digits import convert

    describe(convert(output, force=force))


@data.command("fashion-mnist", cls=options.Once)
@click.option("--source", metavar="DIR", type=FOLDER, help="Where the IDX files are, if not from Debian's package.")
@click.option("--validation", metavar="N", type=COUNT, default=5_000, help=f"{KEPT}; 0 for no such split.")
@writes
def fashion_mnist(source: Path | None, validation: int, output: Path, force: bool) -> None:
    """Fashion-MNIST, from its four IDX files.

    70,000 images of 28×28 pixels, 10 classes. The files are looked for where Debian's and Ubuntu's package
    dataset-fashion-mnist puts them.

    \b
    Example:
      distnn data fashion-mnist -o fm.h5
      distnn data fashion-mnist --source ~/downloads/fashion -o fm.h5
    """
    from distnn.data.convert.fashion_mnist import FOLDER, convert

    describe(convert(output, folder=source or FOLDER, validation=validation, force=force))


@data.command(cls=options.Once)
@click.option("--train-images", type=FILE, required=True, help="IDX file of the training images.")
@click.option("--train-labels", type=FILE, required=True, help="IDX file of the training labels.")
@click.option("--test-images", type=FILE, help="IDX file of the test images.")
@click.option("--test-labels", type=FILE, help="IDX file of the test labels.")
@click.option("--validation", metavar="N", type=COUNT, default=0, help=f"{KEPT}.")
@writes
def idx(
    train_images: Path, train_labels: Path, test_images: Path | None, test_labels: Path | None, **others: Any
) -> None:
    """IDX files (MNIST, EMNIST, KMNIST, …), gzipped or not.

    The classes are named by their numbers.

    \b
    Example:
      distnn data idx --train-images train-images-idx3-ubyte.gz \\
        --train-labels train-labels-idx1-ubyte.gz --test-images t10k-images-idx3-ubyte.gz \\
        --test-labels t10k-labels-idx1-ubyte.gz --validation 5000 -o mnist.h5
    """
    from distnn.data.convert.idx import convert

    if (test_images is None) != (test_labels is None):
        raise click.UsageError("--test-images and --test-labels belong together: give both or neither.")
    test = None if test_images is None or test_labels is None else (test_images, test_labels)
    describe(convert(train=(train_images, train_labels), test=test, **others))


@data.command(cls=options.Once)
@click.argument("archive", metavar="FILE.npz", type=FILE)
@click.option("--x", metavar="NAME", help="The array of samples; {split} in it is train, val or test.")
@click.option("--y", metavar="NAME", multiple=True, help="The array of targets, likewise; may be repeated.")
@click.option("--weight", metavar="NAME", help="The array of how much each sample counts, likewise.")
@click.option(
    "--layout", type=click.Choice(["channels_first", "channels_last"]), help="How images of several channels lie."
)
@click.option("--task", type=PIXELS, help="What y is for; if not given, integers and texts are classes.")
@cuts
@writes
def npz(
    archive: Path, x: str | None, y: tuple[str, ...], weight: str | None, layout: str | None, **others: Any
) -> None:
    """A numpy archive (.npz) of named arrays.

    \b
    x_train, y_train, x_val, y_val, x_test, y_test; train_images, train_labels …
                the splits as they are
    x, y; data, labels …
                split at random by --validation, --test and --seed,
                with every class in proportion in each split

    Other names are given with --x and --y.

    \b
    Example:
      distnn data npz measurements.npz --task regression --test 0.2 -o measurements.h5
      distnn data npz scans.npz --x '{split}_scans' --y '{split}_kinds' -o scans.h5
    """
    from distnn.data.convert.npz import Naming, convert

    describe(convert(path=archive, naming=Naming(x, y, weight, layout), tell=show, **others))


#: From the last to the first, as decorators are.
TABULAR = (
    click.option(
        "--group",
        metavar="COLUMN",
        help="A column, such as a patient: lines of one value stay in one split. It isn't a feature.",
    ),
    click.option("--weight", metavar="COLUMN", help="How much each line counts; not a feature."),
    click.option(
        "--missing",
        type=click.Choice(["refuse", "drop", "keep"]),
        default="refuse",
        help="Where values are missing: drop the line, or keep NaN, to be filled in while training.",
    ),
    click.option(
        "--types",
        metavar="COLUMN=KIND",
        multiple=True,
        type=options.Pair(),
        help="What a column holds: category, number or date; may be repeated.",
    ),
    click.option("--drop", metavar="COLUMN", multiple=True, help="A column to leave out; may be repeated."),
    click.option("--task", type=TASK, help="What the target is; if not given, texts and integers are classes."),
    click.option(
        "--target",
        metavar="COLUMN",
        multiple=True,
        required=True,
        help="The column to predict; all others are features. May be repeated, for several targets.",
    ),
)


def tabular(command: Command) -> Command:
    """The options of a command that makes samples of the rows of a table."""

    @functools.wraps(command)
    def checked(*, types: tuple[tuple[str, str], ...], **others: Any) -> None:
        from distnn.data.convert.table import Roles

        given = {name: others.pop(name) for name in ("target", "drop", "missing", "weight", "group", "task")}
        command(columns=Roles(types=dict(types), **given), **others)

    for option in TABULAR:
        checked = option(checked)
    return cuts(checked)


@data.command(cls=options.Once)
@click.argument("table", metavar="FILE.csv", type=FILE)
@click.option("--delimiter", metavar="CHARACTER", default=",", help="What separates fields.")
@click.option("--decimal", metavar="CHARACTER", default=".", help="What precedes decimals.")
@click.option(
    "--header/--no-header", default=None, help="Whether the first line names the columns; else they are 1, 2, ….",
    show_default=False,
)  # fmt: skip
@tabular
@writes
def csv(table: Path, output: Path, delimiter: str, decimal: str, header: bool | None, **others: Any) -> None:
    """A CSV table with a header line, one sample a line.

    Roles of numbers are features as they are, and True and False are 1 and 0. A column of words becomes a feature
    for each word. Dates are numbers (days) with --types day=date. The lines are split into train, validation and test
    at random by --validation, --test and --seed. Write a tab as \\t.

    \b
    Example:
      distnn data csv wine.csv --target quality --delimiter ';' -o wine.h5
      distnn data csv titanic.csv --target survived --drop name --missing drop -o titanic.h5
    """
    from distnn.data.convert.csv import Dialect, convert

    dialect = Dialect(delimiter.replace("\\t", "\t"), decimal, header)
    describe(convert(output, table, dialect=dialect, tell=show, **others))


@data.command(cls=options.Once)
@click.argument("table", metavar="FILE.parquet", type=FILE)
@tabular
@writes
def parquet(table: Path, output: Path, **others: Any) -> None:
    """A Parquet table, one sample a row.

    Its columns are taken as those of a CSV table are: see distnn data csv.

    \b
    Example:
      distnn data parquet houses.parquet --target price --drop id -o houses.h5
    """
    from distnn.data.convert.parquet import convert

    describe(convert(output, table, tell=show, **others))


@data.command(cls=options.Once)
@click.argument("folder", metavar="FOLDER", type=FOLDER)
@click.option("--labels", metavar="FILE.csv", type=FILE, help="A table of names and labels, instead of folders.")
@click.option("--target", "targets", metavar="COLUMN", multiple=True, help="Its column of labels; may be repeated.")
@click.option("--group", metavar="COLUMN", help="Its column, such as a patient: images of one value stay in one split.")
@click.option("--masks", metavar="FOLDER", type=FOLDER, help="Masks of the images' names, for a segmentation.")
@click.option("--classes", metavar="A,B,…", help="With --masks: the names of the classes 0, 1, ….")
@click.option("--task", type=TASK, help="What the labels are; if not given, texts and integers are classes.")
@click.option("--mode", type=click.Choice(["L", "RGB", "RGBA"]), help="Grey, colour, or colour and transparency.")
@click.option("--resize", metavar="WxH", type=options.Size(), help="The size to make all of, in pixels.")
@click.option("--crop", is_flag=True, help="With --resize: cut off what doesn't fit the shape, rather than stretch.")
@click.option("--skip-broken", is_flag=True, help="Leave out images that can't be read.")
@cuts
@writes
def images(
    folder: Path, masks: Path | None, classes: str | None, mode: str | None, resize: tuple[int, int] | None, crop: bool,
    skip_broken: bool, **others: Any,
) -> None:  # fmt: skip
    """A folder of images: PNG, JPEG and others that Pillow reads.

    \b
    FOLDER/cats/1.png, FOLDER/dogs/2.png …        a folder for each class
    FOLDER/train/cats/1.png, FOLDER/val/cats/…    with splits as they are
    FOLDER/1.png and --labels labels.csv          lines such as 1.png,cat below a header
    FOLDER/1.png and --masks MASKS                MASKS/1.png, or 1_mask.png, has a class for each pixel

    Without folders for splits, the images are split at random by --validation, --test and --seed, with every class in
    proportion. All must be of one size, or get one by --resize.

    \b
    Example:
      distnn data images flowers --resize 64x64 -o flowers.h5
      distnn data images photos --labels photos.csv --crop --resize 96x96 -o photos.h5
      distnn data images scans --masks outlines --classes background,cell -o scans.h5
    """
    from distnn.data.convert import images
    from distnn.data.convert import masks as segmentation

    for option, given in (("--target", others["targets"]), ("--group", others["group"])):
        if given and others["labels"] is None and masks is None:
            raise click.UsageError(f"{option} names a column of --labels FILE.csv: give that, too.")
    if crop and resize is None:
        raise click.UsageError("--crop needs the size to cut to: give --resize WxH.")
    look = images.Look(mode, resize, crop, skip_broken)
    labelled = {name: others.pop(name) for name in ("labels", "targets", "task")}
    group, cutting = others.pop("group"), others.pop("cutting")
    if masks is None:
        if classes:
            raise click.UsageError("--classes names those of --masks FOLDER: give that, too.")
        labelled["cutting"] = cutting._replace(group=group)
        describe(images.convert(folder=folder, look=look, tell=show, **labelled, **others))
        return
    labelled["group"] = group
    if given := next((name for name, value in labelled.items() if value), None):
        option = given.replace("targets", "target")
        raise click.UsageError(f"--{option} doesn't go with --masks, which are the targets.")
    names = tuple(name.strip() for name in classes.split(",")) if classes else ()
    others |= {"masks": masks, "classes": names, "cutting": cutting}
    describe(segmentation.convert(folder=folder, look=look, tell=show, **others))


@data.command(cls=options.Once)
@click.argument("source", metavar="FILE", type=FILE)
@click.option("--length", type=click.IntRange(min=1), default=100, help="How many characters make a sequence.")
@click.option("--validation", type=FRACTION, default=0.05, help="Fraction to validate with.")
@click.option("--test", type=FRACTION, default=0.05, help="Fraction to test with, the text's end.")
@writes
def text(source: Path, output: Path, **others: Any) -> None:
    """A plain text in UTF-8, for a language model of characters.

    It is cut into sequences in order: the first part is for training, the next for validation, the last for testing.
    Line ends become \\n.

    \b
    Example:
      distnn data text bible.txt --length 100 -o bible.h5
    """
    from distnn.data.convert.text import convert

    describe(convert(output, source, **others))


def describe(path: Path) -> None:
    """Print one line: the file, its splits and what one sample is."""
    from distnn.data import DataFile

    with DataFile(path) as file:
        sizes = ", ".join(f"{split} {file.count(split)}" for split in file.splits)
        shape = "×".join(map(str, file.sample_shape))
        kind = "characters" if file.task == "language" else "classes"
        several = f" of {file.target_shape[0]} targets" if len(file.target_shape) == 1 else ""
        task = f"{len(file.classes)} {kind}" if file.classes else f"regression{several}"
        extra = "".join(f", with {name}s" for name in file.fields if name not in ("x", "y"))
        show(f"wrote {path}: {sizes} samples of {shape} {file.x_dtype}, {task}{extra}")
