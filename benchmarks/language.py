"""A language model trained by distnn and by PyTorch: the same weights at the start, data in the same order, optimiser.

    python benchmarks/language.py data/bible-lstm.toml --set data.path=bible.h5 --steps 200
    python benchmarks/language.py data/bible-lstm.toml --set data.path=bible.h5 --finished runs/bible-lstm

See README.md in this folder.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import distnn.runtime  # noqa: F401 (before numpy)

# isort: split
import numpy as np
import torch

from distnn import config
from distnn.data import DataFile, partition
from distnn.data.order import permutation
from distnn.parallel.communicator import Communicator
from distnn.parallel.world import World
from distnn.session.build import Run
from distnn.train.evaluate import STREAMS

CELLS = {"lstm": torch.nn.LSTM, "rnn": torch.nn.RNN}


class Twin(torch.nn.Module):
    """The network of ``char-lstm`` in PyTorch, with the values that ``run`` begins with.

    A cell of PyTorch has two biases that are added up; the second stays 0 here, as distnn has one.
    """

    def __init__(self, run: Run) -> None:
        super().__init__()
        values = {name: torch.from_numpy(np.array(value)) for name, value in run.parameters.value.items()}
        self.embedding = torch.nn.Embedding.from_pretrained(values["embedding1.weight"], freeze=False)
        kind, cells = run.settings.model.cell, []
        for place, units in enumerate(run.settings.model.hidden, 1):
            inputs = values[f"{name_of(kind)}{place}.weight_input"]
            cell = CELLS[kind](len(inputs), units, batch_first=True, dtype=inputs.dtype)
            with torch.no_grad():
                cell.weight_ih_l0.copy_(inputs.T)
                cell.weight_hh_l0.copy_(values[f"{name_of(kind)}{place}.weight_recurrent"].T)
                cell.bias_ih_l0.copy_(values[f"{name_of(kind)}{place}.bias"])
                cell.bias_hh_l0.zero_().requires_grad_(False)
            cells.append(cell)
        self.cells = torch.nn.ModuleList(cells)
        weight = values["dense1.weight"]
        self.dense = torch.nn.Linear(*weight.shape, dtype=weight.dtype)
        with torch.no_grad():
            self.dense.weight.copy_(weight.T)
            self.dense.bias.copy_(values["dense1.bias"])

    def forward(self, tokens: torch.Tensor, states: list[Any]) -> tuple[torch.Tensor, list[Any]]:
        """The logits (N, T, V) and the states after the last step, through which no gradient flows."""
        h, ends = self.embedding(tokens), []
        for cell, state in zip(self.cells, states, strict=True):
            h, end = cell(h, state)
            ends.append(tuple(each.detach() for each in end) if isinstance(end, tuple) else end.detach())
        return self.dense(h), ends


def name_of(kind: str) -> str:
    """What distnn's layers of a cell are numbered by."""
    return {"lstm": "lstm", "rnn": "simplernn"}[kind]


def narrowed(states: list[Any], streams: int) -> list[Any]:
    """The states of the first streams: at the end of an epoch the last batch may have fewer."""

    def cut(state: torch.Tensor) -> torch.Tensor:
        return state[:, :streams].contiguous()

    return [tuple(map(cut, state)) if isinstance(state, tuple) else cut(state) for state in states]


def batches(loader: Any, epochs: int, order: Any, size: int) -> Iterator[tuple[bool, torch.Tensor, torch.Tensor]]:
    """Whether a batch begins an epoch, its tokens and the next ones."""
    for epoch in range(epochs):
        chosen = order(epoch)
        for index in range(partition.batches(len(loader), size)):
            places = chosen[slice(*partition.batch(len(loader), size, index))]
            yield (
                index == 0,
                *(torch.from_numpy(part[places].astype(np.int64)) for part in (loader.fields["x"], loader.fields["y"])),
            )


def train_twin(run: Run, twin: Twin, steps: int) -> Iterator[float]:
    """The loss per character of each of PyTorch's steps, before the step."""
    settings, loader = run.settings, run.loader
    streams = run.step.carried.streams
    trained = [each for each in twin.parameters() if each.requires_grad]
    optimizer = torch.optim.Adam(trained, lr=settings.optimizer.learning_rate, eps=settings.optimizer.epsilon)

    def order(epoch: int) -> Any:
        return permutation(len(loader), settings.train.seed, epoch, settings.data.shuffle, streams)

    states: list[Any] = []
    for number, (first, x, y) in enumerate(batches(loader, settings.train.epochs, order, run.batch_size)):
        if number == steps:
            return
        states = [None] * len(twin.cells) if first or not streams else narrowed(states, len(x))
        optimizer.param_groups[0]["lr"] = settings.optimizer.learning_rate * run.factor(number)
        logits, states = twin(x, states)
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), y.flatten())
        optimizer.zero_grad()
        loss.backward()
        if settings.train.clip_norm is not None:
            torch.nn.utils.clip_grad_norm_(trained, settings.train.clip_norm)
        optimizer.step()
        yield loss.item()


def train_ours(run: Run, steps: int) -> Iterator[float]:
    """The loss per character of each of distnn's steps, before the step."""
    settings, step = run.settings, run.step
    for number in range(steps):
        epoch, window = divmod(number, step.windows)
        if window == 0:
            step.source.begin(settings.train.seed, epoch)
        rate = settings.optimizer.learning_rate * run.factor(number)
        yield step.run(window, rate, number=number).sums.mean_loss


@torch.no_grad()
def evaluate_twin(twin: Twin, run: Run, split: str) -> float:
    """PyTorch's loss per character on a split, read as distnn's evaluation reads it."""
    with DataFile(run.settings.data.path) as file:
        x, y = file.read(split)
    streams, total = min(STREAMS, len(x)), 0.0
    order = permutation(len(x), 0, 0, streams=streams)
    states: list[Any] = [None] * len(twin.cells)
    for index in range(partition.batches(len(x), streams)):
        places = order[slice(*partition.batch(len(x), streams, index))]
        tokens, targets = (torch.from_numpy(part[places].astype(np.int64)) for part in (x, y))
        logits, states = twin(tokens, states if index == 0 else narrowed(states, len(places)))
        total += torch.nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction="sum").item()
    return total / y.size


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="a run file with kind = char-lstm, Adam and no dropout")
    parser.add_argument("--set", dest="overrides", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--steps", type=int, help="how many steps; all epochs of the run file if not given")
    parser.add_argument("--every", type=int, default=50, help="print the losses every so many steps")
    parser.add_argument("--finished", type=Path, metavar="RUN", help="a finished run, instead of distnn's steps")
    parser.add_argument("--split", default="test", help="to evaluate both on in the end, if the file has it")
    parser.add_argument("--json", type=Path, help="write both curves and scores here")
    return parser.parse_args()


def check(settings: config.RunSettings) -> None:
    """Refuse what the twin doesn't do."""
    model, train = settings.model, settings.train
    if model.kind != "char-lstm" or model.cell not in CELLS or model.dropout or train.accumulate != 1:
        sys.exit("language.py: expected kind = char-lstm with cell = lstm or rnn, no dropout and no accumulation.")
    if settings.optimizer.kind != "adam" or settings.optimizer.weight_decay:
        sys.exit("language.py: expected optimizer.kind = adam without weight decay.")


def finished_loss(folder: Path, split: str) -> float:
    """The last loss of a split that a run's metrics.jsonl has."""
    records = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [each["loss"] for each in records if each["kind"] == "evaluation" and each["split"] == split][-1]


def main() -> int:
    options = parse()
    settings = config.read(options.run, options.overrides)
    check(settings)
    with DataFile(settings.data.path) as file:
        run = Run(settings, file, World.of(Communicator()))
        splits = file.splits
    twin = Twin(run)
    steps = min(options.steps or sys.maxsize, settings.train.epochs * run.step.windows)
    ours = [] if options.finished else list(told("distnn", train_ours(run, steps), options.every))
    theirs = list(told("PyTorch", train_twin(run, twin, steps), options.every))
    result: dict[str, Any] = {"steps": steps, "distnn": ours, "torch": theirs}
    if ours:
        worst = max(abs(a - b) / b for a, b in zip(ours, theirs, strict=True))
        print(f"largest relative difference of the losses over {steps} steps: {worst:.2e}")
    if options.split in splits:
        finished = options.finished
        mine = finished_loss(finished, options.split) if finished else run.evaluators[options.split].run().mean_loss
        scores = {"distnn": mine / math.log(2), "torch": evaluate_twin(twin, run, options.split) / math.log(2)}
        print(f"{options.split}: distnn {scores['distnn']:.4f} bits, PyTorch {scores['torch']:.4f} bits per character")
        result["bits"] = scores
    if options.json:
        options.json.write_text(json.dumps(result) + "\n")
    return 0


def told(who: str, losses: Iterator[float], every: int) -> Iterator[float]:
    """The losses as they come, the mean of every few printed."""
    recent: list[float] = []
    start = time.perf_counter()
    for step, loss in enumerate(losses, 1):
        recent.append(loss)
        if len(recent) == every:
            mean, seconds = sum(recent) / every, time.perf_counter() - start
            print(f"{who:<8} step {step:>6}  {mean / math.log(2):.4f} bits  {seconds:.1f} s", flush=True)
            recent.clear()
        yield loss


if __name__ == "__main__":
    sys.exit(main())
