"""Fashion-MNIST, read from IDX files: 70,000 greyscale images of ten kinds of clothing, 28×28 pixels each.

Source: H. Xiao, K. Rasul, R. Vollgraf, "Fashion-MNIST: a Novel Image Dataset for Benchmarking Machine Learning
Algorithms", arXiv:1708.07747 (2017).
"""

from __future__ import annotations

from pathlib import Path

from distnn.data.convert import idx
from distnn.errors import DataError

#: The folder of the package dataset-fashion-mnist of Debian and Ubuntu.
FOLDER = Path("/usr/share/datasets/fashion-mnist")
#: The names in the order of the labels, from the data set's own README.
CLASSES = ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot")
TRAIN = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte")
TEST = ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")
SOURCE = (
    "Fashion-MNIST (Xiao, Rasul, Vollgraf 2017, arXiv:1708.07747), https://github.com/zalandoresearch/fashion-mnist"
)
LICENCE = "MIT (Expat), © 2017 Zalando SE"


def find(folder: Path) -> dict[str, Path]:
    """The four files of a folder by name, with or without .gz; DataError names those that are missing."""
    files = {
        name: place
        for name in (*TRAIN, *TEST)
        for place in (folder / f"{name}.gz", folder / name)  # the last one is used: a file that was unpacked
        if place.is_file()
    }
    missing = [name for name in (*TRAIN, *TEST) if name not in files]
    if missing:
        raise DataError(
            f"Fashion-MNIST is not in {folder}: looked for {', '.join(missing)}, each with or without .gz. On Debian "
            "and Ubuntu, `apt install dataset-fashion-mnist` installs the files; elsewhere download them from "
            "https://github.com/zalandoresearch/fashion-mnist and name their folder with --source DIR."
        )
    return files


def convert(output: str | Path, *, folder: str | Path = FOLDER, validation: int = 5_000, force: bool = False) -> Path:
    """Make a data file of the four IDX files.

    Args:
        folder: the folder of the files.
        validation: how many of the last training samples to use for validation; 0: no validation split.
    """
    files = find(Path(folder))
    return idx.convert(
        output,
        train=(files[TRAIN[0]], files[TRAIN[1]]),
        test=(files[TEST[0]], files[TEST[1]]),
        validation=validation,
        classes=CLASSES,
        source=SOURCE,
        licence=LICENCE,
        force=force,
    )
