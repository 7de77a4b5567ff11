"""Make a small data set in the layout of DeepCAM, the climate benchmark: a file for each map, and stats.h5 beside them.

    python data/make_climate.py climate
    mpiexec -n 3 distnn train data/climate-fcn.toml

DeepCAM's own files hold 16 fields of the atmosphere at 768 × 1152 points, `climate/data` (768, 1152, 16), and for each
point 0, 1 or 2, `climate/labels_0` (768, 1152): background, tropical cyclone, atmospheric river. Its `stats.h5` has the
least, the largest and the mean of each channel over the training maps. Here the fields are smooth noise: rivers are
where there is much water vapour, cyclones where the pressure is low and the wind strong.

Needs numpy and h5py.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import h5py
import numpy as np

#: The channels, as DeepCAM orders them, and of each the mean and the spread; of the first, the wind and the pressure
#: the labels are made.
CHANNELS = {
    "TMQ": (20, 15), "U850": (1, 8), "V850": (0, 6), "UBOT": (0, 6), "VBOT": (0, 5), "QREFHT": (0.01, 0.005),
    "PS": (97000, 5000), "PSL": (101000, 1000), "T200": (215, 6), "T500": (255, 12), "PRECT": (3e-8, 2e-8),
    "TS": (285, 18), "TREFHT": (284, 17), "Z1000": (480, 90), "Z200": (11900, 500), "ZBOT": (61, 4),
}  # fmt: skip
VAPOUR, WIND, PRESSURE = 0, 1, 7
#: From how many spreads above or below the mean on a river, a cyclone's wind and its pressure begin.
RIVER, STORM, LOW = 1.2, 0.8, -1.2


def main() -> None:
    """Make it as the command line says."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", type=Path, help="a new folder")
    parser.add_argument("--files", type=int, default=64, help="maps; an eighth each is for validation and test")
    parser.add_argument("--size", type=int, nargs=2, default=(192, 288), help="points of a map, each way")
    given = parser.parse_args()
    make(given.folder, given.files, tuple(given.size))


def make(folder: Path, files: int, size: tuple[int, int]) -> None:
    """Write the maps of all splits, and the statistics of those for training."""
    random, held_out = np.random.default_rng(0), files // 8
    counts = {"train": files - 2 * held_out, "validation": held_out, "test": held_out}
    seen: list[np.ndarray] = []  # of each map for training, by channel: the mean, that of the squares, least, largest
    for split, count in counts.items():
        (folder / split).mkdir(parents=True)
        for number in range(count):
            values, labels = weather(random, size)
            with h5py.File(
                folder / split / f"data-2000-{1 + number // 28:02}-{1 + number % 28:02}-00-0.h5", "w"
            ) as file:
                file["climate/data"], file["climate/labels_0"] = values, labels
            if split == "train":
                points = values.reshape(-1, len(CHANNELS)).astype(np.float64)
                seen.append(np.stack([points.mean(0), (points**2).mean(0), points.min(0), points.max(0)]))
    mean, square, least, largest = np.stack(seen, axis=1)
    with h5py.File(folder / "stats.h5", "w") as file:
        file["climate/count"] = len(seen)
        file["climate/mean"], file["climate/sqmean"] = mean.mean(0), square.mean(0)
        file["climate/minval"], file["climate/maxval"] = least.min(0), largest.max(0)


def weather(random: np.random.Generator, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """A map: (H, W, 16) and the labels (H, W)."""
    noise = random.normal(size=(*size, len(CHANNELS)))
    waves = [np.fft.fftfreq(length) for length in size]
    smooth = np.exp(-0.5 * (12 * np.hypot(waves[0][:, None], waves[1])) ** 2)[..., None]
    fields = np.fft.ifft2(np.fft.fft2(noise, axes=(0, 1)) * smooth, axes=(0, 1)).real
    fields /= fields.std((0, 1))
    river = fields[..., VAPOUR] > RIVER
    cyclone = (fields[..., PRESSURE] < LOW) & (np.abs(fields[..., WIND]) > STORM)
    means, spreads = np.array(list(CHANNELS.values())).T
    values = (means + spreads * (fields + 0.1 * random.normal(size=fields.shape))).astype(np.float32)
    return values, np.where(cyclone, 1, np.where(river, 2, 0))


if __name__ == "__main__":
    main()
