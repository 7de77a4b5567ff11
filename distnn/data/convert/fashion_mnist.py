"""Fashion-MNIST: 70,000 grey images of 28×28 pixels of ten kinds of clothing, as IDX files.

Source: H. Xiao, K. Rasul, R. Vollgraf, "Fashion-MNIST: a Novel Image Dataset for Benchmarking Machine Learning
Algorithms", arXiv:1708.07747 (2017).
"""

from __future__ import annotations

from pathlib import Path

from distnn.data.convert import idx
from distnn.errors import DataError

#: Where Debian's and Ubuntu's package dataset-fashion-mnist puts the files.
FOLDER = Path("/usr/share/datasets/fashion-mnist")
#: The names in the order of the labels, from the data set's own README.
CLASSES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)
TRAIN = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte")
TEST = ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")
SOURCE = (
    "Fashion-MNIST (Xiao, Rasul, Vollgraf 2017, arXiv:1708.07747), https://github.com/zalandoresearch/fashion-mnist"
)
LICENCE = "MIT (Expat), © 2017 Zalando SE"


def find(folder: Path) -> dict[str, Path]:
    """The four files of a folder by name, with or without the ending .gz; DataError naming those that are missing."""
    found = {
        name: place
        for name in (*TRAIN, *TEST)
        for place in (folder / f"{name}.gz", folder / name)  # the last wins: a file that was unpacked
        if place.is_file()
    }
    missing = [name for name in (*TRAIN, *TEST) if name not in found]
    if missing:
        raise DataError(
            f"Fashion-MNIST is not in {folder}: looked for {', '.join(missing)}, each with or without .gz. On Debian "
            "and Ubuntu `apt install dataset-fashion-mnist` brings the files; elsewhere download them from "
            "https://github.com/zalandoresearch/fashion-mnist and name their folder with --source DIR."
        )
    return found


def convert(output: str | Path, *, folder: str | Path = FOLDER, validation: int = 5_000, force: bool = False) -> Path:
    """Make a data file of the four IDX files.

    Args:
        output: the data file to write.
        folder: where the files are.
        validation: how many of the last training samples to keep for validation; 0 for no such split.
        force: replace a file that is already there.

    Raises:
        DataError: a file is missing or damaged, or ``output`` can't be written.
    """
    found = find(Path(folder))
    return idx.convert(
        output,
        train=(found[TRAIN[0]], found[TRAIN[1]]),
        test=(found[TEST[0]], found[TEST[1]]),
        validation=validation,
        classes=CLASSES,
        source=SOURCE,
        licence=LICENCE,
        force=force,
    )
