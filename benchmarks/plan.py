"""`distnn plan` against reality: the predicted time of a step beside that of real training, in turns.

    python benchmarks/plan.py

See README.md in this folder.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import Any

import h5py
import numpy as np

REPOSITORY = Path(__file__).resolve().parents[1]
#: How near a prediction is to be.
GOAL = 0.15
#: Each case's run file, and the epochs of a training.
CASES = {
    "digits": ('[model]\nkind = "mlp"\nhidden = [64, 32]\n[data]\npath = "{digits}"\nbatch_size = 64\n', 300),
    "mlp": ('[model]\nkind = "mlp"\nhidden = [512, 512]\n[data]\npath = "{images}"\nbatch_size = 256\n', 8),
    "cnn": (
        '[model]\nkind = "convnet"\nchannels = [8, 16]\nhidden = [64]\n[data]\npath = "{images}"\nbatch_size = 128\n',
        2,
    ),
}
REST = "[optimizer]\nlearning_rate = 0.01\nmomentum = 0.9\n[log]\ninterval = 1.0\n[checkpoint]\nevery_epochs = 0\n"


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", default=",".join(CASES))
    parser.add_argument("--ranks", default="1,2,4")
    parser.add_argument("--rounds", type=int, default=7, help="each predicts and trains once, in turns (7)")
    parser.add_argument("--samples", type=int, default=8192, help="of the images, which are random (8192)")
    parser.add_argument("--mpiexec", default=str(Path(sys.executable).with_name("mpiexec")), help="the launcher")
    parser.add_argument("--json", type=Path, help="write the results there, too")
    given = parser.parse_args()
    cores = len(os.sched_getaffinity(0))
    found: dict[str, dict[str, Any]] = {}
    print(f"ms a step; medians of {given.rounds} rounds (min – max), on {cores} cores, one thread a rank")
    print(f"{'case':>8}{'ranks':>7}{'predicted':>28}{'measured':>28}{'predicted / measured':>26}{'fastest':>9}")
    with tempfile.TemporaryDirectory(prefix="distnn-plan-") as name:
        folder = Path(name)
        write(folder, given.samples)
        for case in given.cases.split(","):
            for ranks in map(int, given.ranks.split(",")):
                pairs = [turn(folder, case, ranks, given.mpiexec) for _ in range(given.rounds)]
                found[f"{case}@{ranks}"] = {"predicted": [a for a, _ in pairs], "measured": [b for _, b in pairs]}
                told(case, ranks, pairs, crowded=ranks > cores)
    if given.json:
        given.json.write_text(json.dumps({"cores": cores, "cases": found}, indent=1))


def write(folder: Path, samples: int) -> None:
    """The images, and the run files."""
    random = np.random.default_rng(0)
    with h5py.File(folder / "images.h5", "w") as file:
        file.attrs["task"], file.attrs["classes"] = "classification", [str(label) for label in range(10)]
        file["train/x"] = random.integers(0, 256, (samples, 28, 28), np.uint8)
        file["train/y"] = random.integers(0, 10, samples)
    paths = {"digits": REPOSITORY / "data" / "digits.h5", "images": folder / "images.h5"}
    for case, (text, epochs) in CASES.items():
        (folder / f"{case}.toml").write_text(text.format(**paths) + REST + f"[train]\nepochs = {epochs}\n")


def turn(folder: Path, case: str, ranks: int, launcher: str) -> tuple[float, float]:
    """The predicted and the measured time of a step in ms, by as many ranks, one straight after the other."""
    words = launch(folder, [launcher, "-n", str(ranks)], "plan", f"{case}.toml", "--nodes", "1", "--json")
    (predicted,) = json.loads(words)["predictions"]
    out = folder / "run"
    launch(folder, [launcher, "-n", str(ranks)], "train", f"{case}.toml", "--out", str(out), "--quiet")
    lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    shutil.rmtree(out)
    start = next(line for line in lines if line["kind"] == "start")
    # Epochs without their evaluations; the first warms up.
    rates = [line["samples_per_s"] for line in lines if line["kind"] == "train"][1:]
    milliseconds = 1e3 * start["batch_size"]
    return milliseconds / predicted["samples_per_s"], milliseconds / median(rates)


def launch(folder: Path, launcher: list[str], *words: str) -> str:
    """The standard output of ``distnn`` on these ranks, each with one thread."""
    env = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(REPOSITORY)}
    done = subprocess.run(
        [*launcher, sys.executable, "-m", "distnn", *words],
        cwd=folder,
        env=env,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    if done.returncode:
        sys.exit(done.stdout + done.stderr)
    return done.stdout


def told(case: str, ranks: int, pairs: list[tuple[float, float]], *, crowded: bool) -> None:
    """A line of the table."""
    predicted, measured = (list(each) for each in zip(*pairs, strict=True))
    ratios = [a / b for a, b in pairs]
    cells = [f"{median(each):.3f} ({min(each):.3f} – {max(each):.3f})" for each in (predicted, measured, ratios)]
    fastest = min(predicted) / min(measured)
    ratio = median(predicted) / median(measured)
    verdict = "more ranks than cores" if crowded else "met" if abs(ratio - 1) <= GOAL else "missed"
    print(
        f"{case:>8}{ranks:>7}{cells[0]:>28}{cells[1]:>28}{cells[2]:>26}{fastest:9.3f}   goal ± {GOAL:.0%}: {verdict}",
        flush=True,
    )


if __name__ == "__main__":
    main()
