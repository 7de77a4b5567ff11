"""Each reader of files, called on damaged ones in one process: it refuses them in words, or reads them.

    python -m tests.fuzz_readers data                              1,000 files with random damage
    python -m tests.fuzz_readers checkpoint --count 100000 --seed 7
    pip install '.[fuzz]'
    python -m tests.fuzz_readers data --atheris -max_total_time=3600

atheris chooses the damage by what code it reaches; its own options follow ``--atheris``. `tests.fuzz` goes by whole
commands instead, and watches what they open and import.
"""

from __future__ import annotations

import argparse
import faulthandler
import os
import random
import sys
import tempfile
import traceback
import warnings
from collections.abc import Callable
from contextlib import nullcontext, suppress
from pathlib import Path

import numpy as np

if "--atheris" in sys.argv:  # it has to see the modules that are imported
    import atheris

    watched = atheris.instrument_imports(include=["distnn"])
else:
    watched = nullcontext()

with watched:
    from distnn import checkpoint, config
    from distnn.checkpoint import Checkpoint
    from distnn.data import DataFile
    from distnn.errors import DistnnError

from tests.fuzz_files import damaged
from tests.support.runs import run_file, some_digits

#: Seconds for one file.
LIMIT = 10


def read_data(path: Path) -> None:
    """Everything in a data file."""
    with DataFile(path) as file:
        file.identity()
        for split in file.splits:
            file.read(split)


READERS: dict[str, Callable[[Path], object]] = {
    "data": read_data,
    "checkpoint": checkpoint.load,
    "run-file": config.read,
}


def good(kind: str, folder: Path) -> bytes:
    """A file that the reader reads."""
    if kind == "data":
        return some_digits(folder / "good.h5", 30, 10).read_bytes()
    if kind == "run-file":
        return run_file(folder / "good.toml").read_bytes()
    arrays = {"dense1.weight": np.ones((4, 3), np.float32), "dense1.bias": np.zeros(3, np.float32)}
    facts = {"input_shape": [4], "target_shape": [], "task": "regression", "classes": [], "description": "linear"}
    saved = Checkpoint(arrays, {"velocity": arrays}, {"step": 2, "epoch": 1}, {"train": {"seed": 0}}, facts, {}, {})
    return checkpoint.save(folder, saved, keep=1, best=False).read_bytes()


def refused_or_read(kind: str, path: Path, content: bytes) -> None:
    """Let the reader loose on a file of this content.

    Raises:
        Exception: what isn't words for the user.
    """
    path.write_bytes(content)
    with suppress(DistnnError), warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        READERS[kind](path)


def by_chance(kind: str, count: int, seed: int) -> list[str]:
    """So many files, each damaged otherwise, in forks, of which HDF5 may crash some: what was bad."""
    bad = []
    with tempfile.TemporaryDirectory(prefix="fuzz-readers-") as folder:
        path, whole, at = Path(folder, "file"), good(kind, Path(folder)), Path(folder, "at")
        path.write_bytes(whole)
        READERS[kind](path)
        number = 0
        while number < count:
            if (fork := os.fork()) == 0:
                try:
                    for each in range(number, count):
                        at.write_text(str(each))
                        faulthandler.dump_traceback_later(LIMIT, exit=True)
                        refused_or_read(kind, path, damaged(whole, random.Random(f"{seed} {kind} {each}")))
                except Exception:
                    traceback.print_exc()
                    os._exit(1)
                os._exit(0)
            code = os.waitstatus_to_exitcode(os.waitpid(fork, 0)[1])
            if code == 0:
                break
            number = int(at.read_text()) + 1
            kept = Path(tempfile.gettempdir(), f"fuzz-{kind}-{seed}-{number - 1}")
            kept.write_bytes(path.read_bytes())
            how = f"killed by signal {-code}" if code < 0 else "a hang, or an exception: see above"
            bad.append(f"{kind} {number - 1} of seed {seed}, kept as {kept}: {how}")
    return bad


def by_coverage(kind: str, options: list[str]) -> None:
    """For as long as atheris is told to."""
    with tempfile.TemporaryDirectory(prefix="fuzz-readers-") as folder:
        path, corpus = Path(folder, "file"), Path(folder, "corpus")
        corpus.mkdir()
        (corpus / "good").write_bytes(good(kind, Path(folder)))
        atheris.Setup([sys.argv[0], str(corpus), *options], lambda content: refused_or_read(kind, path, content))
        atheris.Fuzz()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", choices=READERS)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--atheris", nargs=argparse.REMAINDER, help="choose by coverage; atheris's options follow")
    chosen = parser.parse_args()
    if chosen.atheris is None:
        bad = by_chance(chosen.kind, chosen.count, chosen.seed)
        print(*bad, f"{chosen.count} files, {len(bad)} neither refused in words nor read", sep="\n")
        sys.exit(bool(bad))
    else:
        by_coverage(chosen.kind, chosen.atheris)


if __name__ == "__main__":
    main()
