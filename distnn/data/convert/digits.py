"""The digits data set that is shipped with distnn as a data file: 1797 handwritten digits of 8×8 pixels."""

from __future__ import annotations

import shutil
from pathlib import Path

from distnn.errors import DataError
from distnn.outputs import new_file

#: Beside this module in an installed package, in the repository's data/ in a source checkout.
PLACES = (Path(__file__).with_name("digits.h5"), Path(__file__).parents[3] / "data" / "digits.h5")


def shipped() -> Path:
    """The data file that is shipped with distnn; DataError if the installation lacks it."""
    for place in PLACES:
        if place.is_file():
            return place
    raise DataError(
        f"The digits data set is missing from this installation of distnn: looked for {PLACES[0]} and {PLACES[1]}. "
        "Install distnn again, or run data/make_digits.py from its repository (needs scikit-learn)."
    )


def convert(output: str | Path, *, force: bool = False) -> Path:
    """Copy the shipped file."""
    source, output = shipped(), Path(output)
    with new_file(output, force=force) as temporary:
        shutil.copyfile(source, temporary)
    return output
