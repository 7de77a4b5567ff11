"""A run that is killed at random moments, hundreds of times, on 1 to 4 ranks: nothing that it has saved is ever lost.

    python -m tests.kills                      500 kills; prints what was bad
    python -m tests.kills --kills 20 --seed 7

Each kill takes all ranks of a run at once by SIGKILL, while it starts or after it has saved something. The next run
goes on from the newest checkpoint. What is bad: a complaint, a checkpoint that is lost or damaged, a lock or half a
file in the way, and another end than that of a run that was never killed. In turn the runs read the digits; tables of
another's, cut into splits and transformed; and a file for each sample, whose index may be gone at a start.
"""

from __future__ import annotations

import argparse
import random
import shutil
import sys
import tempfile
import time
from pathlib import Path

from distnn import config
from tests.fuzz_files import SUBJECTS
from tests.support.resuming import OFTEN, finished, killed, progress
from tests.support.runs import DIGITS, distance

#: Each data set's batch size and number of epochs: of a thousand steps.
LENGTHS = {"digits": (64, 50), "fields": (4, 150), "maps": (2, 125)}

#: After so many kills the run is brought to its end, and another one begins.
TURN = 25


def long(subject: str, folder: Path) -> Path:
    """The run file of a data set, with many steps and checkpoints, and few ends of epochs."""
    run = SUBJECTS[subject](folder)
    for k in range(4, 16):
        if subject == "maps":
            shutil.copyfile(folder / "maps" / "train" / f"{k % 4}.h5", folder / "maps" / "train" / f"{k}.h5")
    table = config.to_dict(config.read(run))
    size, epochs = LENGTHS[subject]
    table["data"] |= {"batch_size": size} | ({"path": str(DIGITS)} if subject == "digits" else {})
    table["train"] |= {"epochs": epochs, "patience": epochs, "target": None}
    table["checkpoint"] |= OFTEN
    table["log"]["interval"] = 0.0
    run.write_text(config.to_toml(config.from_dict(table)), encoding="utf-8")
    return run


def turn(subject: str, kills: int, chance: random.Random, folder: Path) -> str:
    """Kill one run so many times: nothing, or what was bad."""
    run, out = long(subject, folder), folder / "run"
    try:
        whole = finished(1, run, folder / "whole")
        for _ in range(kills):
            for index in folder.rglob(".distnn-index.json"):
                if chance.random() < 0.5:
                    index.unlink()
            killed(chance.randint(1, 4), run, out, chance)
        end = finished(chance.randint(1, 4), run, out, "--resume", "auto")
        assert progress(end) == progress(whole)
        assert distance(end.parameters, whole.parameters) < 1e-5
        left = [path.name for path in folder.rglob("*") if path.name == "lock" or ".tmp" in path.suffixes]
        assert left == [], "left behind"
    except AssertionError as error:
        return str(error) or "an assertion failed"
    return ""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kills", type=int, default=500)
    chosen = parser.parse_args()
    start, bad = time.monotonic(), []
    for first in range(0, chosen.kills, TURN):
        with tempfile.TemporaryDirectory(prefix="kills-") as folder:
            chance = random.Random(f"{chosen.seed} {first}")
            subject = [*SUBJECTS][first // TURN % len(SUBJECTS)]
            if text := turn(subject, min(TURN, chosen.kills - first), chance, Path(folder)):
                bad.append(f"kills {first} to {first + TURN}, {subject}: {text}")
                print(bad[-1], flush=True)
    print(f"{chosen.kills} kills in {time.monotonic() - start:.0f} s, {len(bad)} runs of {TURN} with something bad")
    sys.exit(bool(bad))


if __name__ == "__main__":
    main()
