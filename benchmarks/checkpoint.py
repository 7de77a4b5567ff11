"""A checkpoint of 100 million parameters, saved while a training goes on, beside `dd` with fsync of as many bytes.

    python benchmarks/checkpoint.py FOLDER

See README.md in this folder.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import distnn.runtime  # noqa: F401 (before numpy)

# isort: split
import numpy as np

from distnn import config
from distnn.checkpoint.environment import environment
from distnn.data import DataFile, write_data
from distnn.parallel.world import World
from distnn.session.build import Run
from distnn.session.records import Listener
from distnn.session.saving import Saver

#: The system's own.
FDATASYNC = os.fdatasync
#: The parts of dd's speed that writing should reach, and of the time of writing that the steps may stand still.
SPEED, PAUSE = 0.8, 0.05


class Strict(Listener):
    """Ends everything if a checkpoint can't be saved."""

    def warned(self, text: str) -> None:
        sys.exit(text)


def training(folder: Path, parameters: int, batch: int) -> Run:
    """A perceptron 784-n-n-10 with about so many parameters, on random images."""
    random = np.random.default_rng(0)
    images, labels = random.integers(0, 256, (2 * batch, 784), np.uint8), random.integers(0, 10, 2 * batch)
    data = {"train": (images, labels)}
    classes = [str(k) for k in range(10)]
    path = write_data(folder / "data.h5", data, task="classification", classes=classes, scale=1 / 255)
    width = round((-794 + (794**2 + 4 * parameters) ** 0.5) / 2)
    settings = {
        "data": {"path": str(path), "batch_size": batch},
        "model": {"kind": "mlp", "hidden": [width, width]},
        "optimizer": {"learning_rate": 0.001},
    }
    with DataFile(path) as file:
        return Run(config.from_dict(settings, "benchmark"), file, World.open())


def dd(path: Path, size: int) -> float:
    """Seconds that dd takes to write so many bytes and bring them to the disk."""
    command = ["dd", "if=/dev/zero", f"of={path}", "bs=4M", f"count={size}", "iflag=count_bytes", "conv=fsync"]
    start = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    seconds = time.perf_counter() - start
    path.unlink()
    return seconds


class Measured:
    """A training that saves itself when asked to."""

    def __init__(self, run: Run, folder: Path) -> None:
        self.run, self.steps, self.synced = run, 0, 0.0
        os.fdatasync = self.fdatasync
        settings = run.settings.checkpoint.model_copy(update={"keep": 1})
        self.saver = Saver(folder, settings, {}, run.model, run.step, environment(run.world.comm), {}, {}, Strict())

    def fdatasync(self, descriptor: int) -> None:
        """The system's, and when it ended last: all of the arrays' bytes are on the disk then."""
        FDATASYNC(descriptor)
        self.synced = time.perf_counter()

    def step(self) -> float:
        """Seconds of a step."""
        start = time.perf_counter()
        window, ready = self.steps % self.run.step.windows, self.saver.wait_for_copy
        self.run.step.run(window, 0.001, number=self.steps, before_reduction=ready)
        self.steps += 1
        self.run.progress.step = self.steps
        self.saver.after_step(self.run.progress)
        return time.perf_counter() - start

    def save(self) -> dict[str, float]:
        """Seconds until a checkpoint is on the disk, until it is verified, and that the steps stood still for it."""
        self.saver.waited_s = 0.0
        start = time.perf_counter()
        self.saver.save(self.run.progress)
        begun = time.perf_counter() - start
        steps = []
        while self.saver.writing:
            steps.append(self.step())
        return {
            "written": self.synced - start,
            "verified": self.saver.last_s,
            "paused": begun + self.saver.waited_s,
            "step": median(steps or [0.0]),
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="on the disk that is measured")
    parser.add_argument("--parameters", type=int, default=100_000_000)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    with TemporaryDirectory(dir=given.folder) as name:
        folder = Path(name)
        measured = Measured(training(folder, given.parameters, given.batch), folder / "checkpoints")
        alone = median(measured.step() for _ in range(3))
        size = 4 * sum(array.size for array in measured.run.parameters.value.values())
        print(f"{size / 4e6:.1f} million parameters, {size / 1e6:.0f} MB; a step alone takes {1e3 * alone:.0f} ms")
        rounds: list[dict[str, Any]] = []
        measured.save()  # the copy's memory is allocated once
        for _ in range(given.rounds):
            found = {"dd": dd(folder / "dd", size), **measured.save()}
            found |= {"speed": found["dd"] / found["written"], "pause": found["paused"] / found["written"]}
            rounds.append(found)
            print(
                f"dd {size / 1e6 / found['dd']:6.0f} MB/s   on the disk {size / 1e6 / found['written']:6.0f} MB/s = "
                f"{found['speed']:.2f} of it   verified too {size / 1e6 / found['verified']:6.0f} MB/s   steps of "
                f"{1e3 * found['step']:.0f} ms stood still for {1e3 * found['paused']:.0f} ms = "
                f"{100 * found['pause']:.1f} % of the writing",
                flush=True,
            )
    speed, pause = median(r["speed"] for r in rounds), median(r["pause"] for r in rounds)
    print(f"median: {speed:.2f} of dd's speed (goal {SPEED}), paused {100 * pause:.1f} % (goal {100 * PAUSE:.0f} %)")
    if given.json:
        given.json.write_text(
            json.dumps({"bytes": size, "step": alone, "rounds": rounds, "speed": speed, "pause": pause})
        )


if __name__ == "__main__":
    main()
