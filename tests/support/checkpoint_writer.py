"""A process that saves checkpoints in a tight loop until it is killed; `test_checkpoint_kill.py` starts and kills it.

    python checkpoint_writer.py FOLDER FIRST_STEP KEEP

It prints each step once it is saved. With ``kill_at`` it kills itself right before the event of that number after three
saves: an opening, renaming, linking or removing of a file; where fewer follow in one save, it ends.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import numpy as np

from distnn.checkpoint import Checkpoint, save

LENGTH = 500_000
EVENTS = ("open", "os.rename", "os.symlink", "os.remove", "os.mkdir")
BEST_EVERY = 4


def state(step: int) -> Checkpoint:
    """The state after a step: 4 MB that no other step has."""
    weight = np.arange(LENGTH, dtype=np.float32) + step
    return Checkpoint({"weight": weight}, {"velocity": {"weight": -weight}}, {"step": step})


def main(folder: Path, first: int, keep: int, kill_at: int | None = None) -> None:
    """Save steps from ``first`` on."""
    events: int | None = None

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal events
        if events is not None and event in EVENTS and str(folder) in str(arguments[event == "os.symlink"]):
            if events == kill_at:
                os.kill(os.getpid(), signal.SIGKILL)
            events += 1

    sys.addaudithook(hook)
    step = first
    while kill_at is None or step <= first + 3:
        if kill_at is not None and step == first + 3:
            events = 0
        save(folder, state(step), keep=keep, best=step % BEST_EVERY == 0)
        print(step, flush=True)
        step += 1


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
