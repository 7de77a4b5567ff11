"""Make digits.h5 again from scikit-learn's copy of the digits: the same arrays, to the last byte.

    python data/make_digits.py [FILE.h5]

Needs distnn and scikit-learn, which includes the data, so no network.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits

from distnn.data import write_data
from distnn.data.convert.splits import stratified

VALIDATION, TEST, SEED = 200, 300, 0
SOURCE = (
    "E. Alpaydin and C. Kaynak (1998), Optical Recognition of Handwritten Digits, UCI Machine Learning Repository, "
    "https://doi.org/10.24432/C50P49; its test set of 1797 images, as scikit-learn's load_digits gives it"
)
LICENCE = "CC BY 4.0, https://creativecommons.org/licenses/by/4.0/"


def main(output: Path) -> None:
    """Write the file, replacing an existing one."""
    digits = load_digits()
    x = digits.images.astype(np.uint8)  # stored as floats there, but all are the integers 0..16
    y = digits.target.astype(np.uint8)
    parts = stratified(y, VALIDATION, TEST, SEED)
    write_data(
        output,
        {name: (x[index], y[index]) for name, index in parts.items()},
        task="classification",
        classes=[str(digit) for digit in range(10)],
        scale=1 / 16,
        source=SOURCE,
        licence=LICENCE,
        force=True,
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).with_name("digits.h5"))
