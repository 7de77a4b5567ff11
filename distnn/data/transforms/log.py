"""Numbers whose ratios matter."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from distnn.arrays import Array
from distnn.data.transforms.transform import State, Transform, refuse


@dataclass(frozen=True)
class Logarithm(Transform, kind="log"):
    """ln(x + offset): numbers from −offset down are refused. With an offset of 1, for counts, it is ``log1p``."""

    offset: float = 0.0  #: is added before the logarithm is taken; 1 for counts, which may be 0

    def apply(self, x: Array, out: Array, state: State) -> None:
        if not x.min(initial=np.inf) > -self.offset:  # also if it is NaN, which may be
            hint = "clip it or set an offset" if self.offset else "for numbers from 0 on set offset = 1"
            limit = f"above {-self.offset:g}" if self.offset else "above 0"
            refuse(x <= -self.offset, x, f"is {{value}}, but log takes numbers {limit}; {hint}")
        if self.offset == 1:
            np.log1p(x, out=out)
        else:
            np.add(x, self.offset, out=out)
            np.log(out, out=out)

    def invert(self, y: Array, state: State) -> None:
        if self.offset == 1:
            np.expm1(y, out=y)
        else:
            np.exp(y, out=y)
            np.subtract(y, self.offset, out=y)
