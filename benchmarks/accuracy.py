"""Time to accuracy: a convolutional network on Fashion-MNIST until it classifies enough of the validation split right.

    distnn data fashion-mnist -o fm.h5
    python benchmarks/accuracy.py fm.h5

Whole processes by the wall clock, from their start to their end, in turns: `distnn train` under mpiexec, and PyTorch's
DDP, with the same network, first values, order of the samples and rule of the update. See README.md in this folder.
"""

from __future__ import annotations

import argparse
import json
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import distnn.runtime  # noqa: F401 (before numpy)

# isort: split
import numpy as np
from contenders import environment

from distnn import config
from distnn.data import DataFile
from distnn.data.order import permutation
from distnn.parallel.communicator import Communicator
from distnn.parallel.world import World
from distnn.session.build import Run

HERE = Path(__file__).resolve().parent
#: The share of PyTorch's time that ours may take.
GOAL = 0.6


def write(folder: Path, given: argparse.Namespace) -> Path:
    """The run file; and for PyTorch the data, the first values, and the order of each epoch."""
    settings = config.from_dict(
        {
            "model": {"kind": "convnet", "channels": [32, 64], "hidden": [128]},
            "data": {"path": str(given.data.resolve()), "batch_size": given.batch},
            "train": {"epochs": given.epochs, "target_accuracy": given.target},
            "optimizer": {"learning_rate": given.learning_rate, "momentum": 0.9},
        }
    )
    path = folder / "run.toml"
    path.write_text(config.to_toml(settings))
    with DataFile(given.data) as file:
        for split, suffix in (("train", ""), ("validation", "_validation")):
            x, y = file.read(split)
            np.save(folder / f"x{suffix}.npy", x.reshape(len(x), -1))
            np.save(folder / f"y{suffix}.npy", y)
        run, samples = Run(settings, file, World.of(Communicator())), file.count("train")
    values = {f"{place:03}": run.parameters.value[name] for place, name in enumerate(run.parameters.trained)}
    np.savez(folder / "first.npz", **values)
    np.save(folder / "orders.npy", np.stack([permutation(samples, 0, epoch) for epoch in range(given.epochs)]))
    recipe = {"batch": given.batch, "learning_rate": given.learning_rate, "momentum": 0.9, "target": given.target}
    (folder / "recipe.json").write_text(json.dumps(recipe))
    return path


def ours(run: Path, out: Path, given: argparse.Namespace) -> dict[str, Any]:
    """A training by distnn: seconds, epochs, accuracy."""
    train = [sys.executable, "-m", "distnn", "train", str(run), "--out", str(out), "--quiet"]
    start = time.perf_counter()
    subprocess.run([given.mpiexec, "-n", str(given.ranks), *train], env=environment(1), check=True, capture_output=True)
    seconds = time.perf_counter() - start
    records = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    last = [each for each in records if each["kind"] == "evaluation" and each["split"] == "validation"][-1]
    return {"seconds": seconds, "epochs": last["epoch"], "accuracy": last["accuracy"]}


def theirs(folder: Path, given: argparse.Namespace) -> dict[str, Any]:
    """A training by DDP."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    shared = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "WORLD_SIZE": str(given.ranks)}
    command = [given.torch_python, str(HERE / "workers" / "torch_accuracy.py"), str(folder)]
    start = time.perf_counter()
    jobs = [
        subprocess.Popen(command, env=environment(1, RANK=str(rank), **shared), stdout=subprocess.PIPE, text=True)
        for rank in range(given.ranks)
    ]
    output = [job.communicate()[0] for job in jobs]
    seconds = time.perf_counter() - start
    if any(job.returncode for job in jobs):
        sys.exit("accuracy.py: PyTorch failed.")
    last = json.loads(output[0].splitlines()[-1])
    return {"seconds": seconds, "epochs": last["epoch"], "accuracy": last["accuracy"]}


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="Fashion-MNIST, as `distnn data fashion-mnist` makes it")
    parser.add_argument("--target", type=float, default=0.9, help="the validation accuracy to come to")
    parser.add_argument("--epochs", type=int, default=20, help="at most")
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--learning-rate", type=float, default=0.05)
    parser.add_argument("--ranks", type=int, default=2, help="of each, one thread a rank")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--torch-python", default=sys.executable, help="a Python that has torch (this one)")
    parser.add_argument("--mpiexec", default=str(Path(sys.executable).with_name("mpiexec")))
    parser.add_argument("--json", type=Path)
    return parser.parse_args()


def main() -> int:
    """Take turns, and print each round and the median ratio."""
    given = parse()
    has_torch = subprocess.run([given.torch_python, "-c", "import torch"], capture_output=True, check=False)
    rounds: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(prefix="distnn-bench-") as name:
        folder = Path(name)
        run = write(folder, given)
        for place in range(given.rounds):
            found = {"distnn": ours(run, folder / f"run-{place}", given)}
            if has_torch.returncode == 0:
                found["torch DDP"] = theirs(folder, given)
            rounds.append(found)
            for who, each in found.items():
                told = f"{each['seconds']:7.1f} s, {each['epochs']} epochs, validation accuracy {each['accuracy']:.4f}"
                print(f"round {place + 1}: {who:<10}{told}", flush=True)
    ratios = [each["distnn"]["seconds"] / each["torch DDP"]["seconds"] for each in rounds if "torch DDP" in each]
    if ratios:
        median = statistics.median(ratios)
        spread = f"({min(ratios):.2f} – {max(ratios):.2f})"
        print(f"distnn ÷ torch DDP: {median:.2f} {spread}   goal {GOAL}: {'met' if median <= GOAL else 'missed'}")
    else:
        print("torch is skipped: pip install torch==2.13.0, or name a Python that has it (--torch-python)")
    if given.json:
        given.json.write_text(json.dumps({"rounds": rounds, "ratios": ratios}, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
