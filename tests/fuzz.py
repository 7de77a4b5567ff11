"""Damaged and hostile files, by the hundred, for every verb that reads them: each is answered in words.

    python -m tests.fuzz                       500 data files, 400 checkpoints and 300 run files; prints a table
    python -m tests.fuzz --files 10000 --seed 7

A file passes if the process ends in time with exit code 0 or with an error in words, without a traceback or a signal,
imports nothing that the file names, and opens no file elsewhere.
"""

from __future__ import annotations

import argparse
import copy
import ctypes
import dataclasses
import json
import os
import random
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from distnn import checkpoint
from tests.support.forked import _server, forked
from tests.support.launch import environment
from tests.support.runs import distnn, run_file, saved, some_digits

KINDS = {"data": 500, "checkpoint": 400, "run file": 300}
#: Seconds for one command.
LIMIT = 60
#: What is put in place of a value.
ODD: list[Any] = [None, True, -1, 0, 2**63, 10**40, 1e308, float("nan"), "", "x" * 5000, "\0", [], {}, [[]], {"a": {}}]
ODD += ["trap:Trap", "../secret/file.h5", -(2**63), 3.7, ["a"] * 3, "nan"]


def damaged(content: bytes, chance: random.Random) -> bytes:
    """The bytes with something flipped, cut, overwritten, or put in."""
    found = bytearray(content)
    for _ in range(chance.choice([1, 1, 1, 2, 8, 64])):
        place, length = chance.randrange(len(found)), chance.choice([1, 2, 4, 8, 64, 512])
        way = chance.randrange(6)
        if way == 0:
            found[place] ^= 1 << chance.randrange(8)
        elif way == 1:
            found[place : place + length] = bytes(len(found[place : place + length]))
        elif way == 2:
            found[place : place + length] = chance.randbytes(len(found[place : place + length]))
        elif way == 3:
            found[place : place + length] = b"\xff" * len(found[place : place + length])
        elif way == 4:
            found[place:place] = found[place : place + length]
        elif len(found) > 16:
            del found[chance.randrange(8, len(found)) :]
    return bytes(found)


def places(value: Any, way: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The ways to all values within nested tables and lists."""
    for key, item in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield (*way, key)
        yield from places(item, (*way, key))


def odd(table: dict[str, Any], chance: random.Random) -> dict[str, Any]:
    """The table with some values replaced, or gone."""
    found = copy.deepcopy(table)
    for _ in range(chance.choice([1, 1, 2, 4])):
        *way, key = chance.choice([*places(found)] or [("x",)])
        inner: Any = found
        for each in way:
            inner = inner[each]
        if chance.random() < 0.2 and key in (inner if isinstance(inner, dict) else range(len(inner))):
            del inner[key]
        else:
            inner[key] = copy.deepcopy(chance.choice(ODD))
        if not found:
            break
    return found


def odd_data(path: Path, chance: random.Random, secret: Path) -> None:
    """A whole HDF5 file that isn't the data file it seems to be."""
    with h5py.File(path, "r+") as file:
        way, split = chance.randrange(9), chance.choice(["train", "validation", "test"])
        name = chance.choice(["x", "y"])
        shape, dtype = file[split][name].shape, file[split][name].dtype
        if way == 0:
            file.attrs[chance.choice(["task", "classes", "new"])] = chance.choice(
                ["", "regression", "language", 7, np.nan, [b"a", b"\xff"], np.zeros((3, 3)), ["x"] * 100]
            )
        elif way == 1:
            file[split]["x"].attrs["scale"] = chance.choice([0, -1, np.inf, "1", [1, 2], 1e-300])
        else:
            del file[split][name]
            group = file[split]
            if way == 2:
                group[name] = h5py.ExternalLink(str(secret), "x")
            elif way == 3:
                group[name] = h5py.SoftLink(chance.choice(["/nowhere", f"/{split}/{name}", f"/{split}"]))
            elif way == 4:
                group.create_dataset(name, shape, dtype, external=[(str(secret), 0, h5py.h5f.UNLIMITED)])
            elif way == 5:
                layout = h5py.VirtualLayout(shape, dtype)
                where = chance.choice([str(secret), ".", "gone.h5", "../secret/file.h5"])
                layout[:] = h5py.VirtualSource(where, chance.choice(["x", f"{split}/{name}"]), shape)
                group.create_virtual_dataset(name, layout)
            elif way == 6:
                sizes = [(10**12, *shape[1:]), (0, *shape[1:]), shape[:1], (*shape, 2), ()]
                new = chance.choice(sizes)
                chunks, most = tuple(min(n, 4) or 1 for n in new) or None, (None,) * len(new) or None
                group.create_dataset(name, new, dtype, chunks=chunks, maxshape=most)
            elif way == 7:
                types = ["f2", "c8", "S3", h5py.string_dtype(), "i8", ">f4", np.dtype([("a", "i4")]), "f8", "?"]
                group.create_dataset(name, shape, chance.choice(types), chunks=True)
            else:
                group.create_group(name)


class Bench:
    """A folder with good files, spoilt copies of them, and what may not be touched."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "work").mkdir()
        (folder / "secret").mkdir()
        self.secret = folder / "secret" / "file.h5"
        with h5py.File(self.secret, "w") as file:
            file["x"] = np.zeros((60, 64), np.uint8)
        self.data = some_digits(folder / "digits.h5", 60, 20)
        self.run = run_file(folder / "run.toml", data={"path": str(self.data), "batch_size": 30}, train={"epochs": 1})
        done = distnn("train", self.run, "--out", folder / "run", "--quiet")
        assert done.returncode == 0, done
        self.saved = saved(folder / "run")
        self.good = checkpoint.resolve(folder / "run")
        libc = ctypes.CDLL(None, use_errno=True)
        self._watch = libc.inotify_init1(os.O_NONBLOCK)
        libc.inotify_add_watch(self._watch, os.fsencode(self.secret), 0x20)  # IN_OPEN

    def spoilt(self, kind: str, number: int, chance: random.Random) -> Path:
        """A file of this kind, its bytes damaged or its content odd."""
        folder = self.folder / "work"
        (folder / "trap.py").write_text("from pathlib import Path\nPath('sprung').touch()\n", encoding="utf-8")
        if kind == "data":
            path = folder / f"{number}.h5"
            path.write_bytes(self.data.read_bytes())
            if chance.random() < 0.5:
                odd_data(path, chance, self.secret)
            else:
                path.write_bytes(damaged(path.read_bytes(), chance))
        elif kind == "checkpoint":
            path = folder / f"{number}.h5"
            if chance.random() < 0.6:
                name = chance.choice(["settings", "model", "progress", "environment"])
                forged = dataclasses.replace(self.saved, **{name: odd(getattr(self.saved, name), chance)})
                forged.progress["step"] = forged.progress.get("step") if name != "progress" else 2
                try:
                    made = checkpoint.save(folder / f"c{number}", forged, keep=1, best=False)
                    made.rename(path)
                except Exception:  # it can't even be written
                    path.write_bytes(damaged(self.good.read_bytes(), chance))
            else:
                path.write_bytes(damaged(self.good.read_bytes(), chance))
        else:
            path = folder / f"{number}.toml"
            text = self.run.read_bytes()
            if chance.random() < 0.5:
                key, _, _ = chance.choice([line for line in text.splitlines() if b"=" in line]).partition(b"=")
                value = json.dumps(chance.choice([each for each in ODD if each is not None])).encode()
                text = b"\n".join(
                    key + b"= " + value if line.startswith(key + b"=") else line for line in text.splitlines()
                )
            path.write_bytes(damaged(text, chance) if chance.random() < 0.5 else text)
        return path

    def commands(self, kind: str, path: Path) -> list[list[str]]:
        """What is done with it."""
        out = str(self.folder / "work" / f"{path.stem}-out")
        small = ["--set", f"data.path={self.data}", "--set", "train.epochs=1", "--set", "model.hidden=[4]"]
        return {
            "data": [
                ["inspect", str(path)],
                ["evaluate", str(self.good), str(path)],
                ["predict", str(self.good), str(path), "-o", f"{out}.h5"],
                ["train", str(self.run), "--set", f"data.path={path}", "--out", out, "--quiet"],
            ],
            "checkpoint": [
                ["inspect", str(path)],
                ["evaluate", str(path), str(self.data)],
                ["predict", str(path), str(self.data), "-o", f"{out}.h5"],
                ["sample", str(path), "--prompt", "a"],
                ["train", str(self.run), "--resume", str(path), "--out", out, "--quiet"],
            ],
            "run file": [
                ["graph", str(path)],
                ["plan", str(path), "--site", "generic"],
                ["train", str(path), *small, "--out", out, "--quiet"],
            ],
        }[kind]

    def verdict(self, command: list[str]) -> str:
        """Run it: nothing, or what is wrong."""
        sprung = self.folder / "work" / "sprung"
        try:
            done = forked(command, cwd=sprung.parent, env=environment("none"), timeout=LIMIT)
        except subprocess.TimeoutExpired:
            return "hang"
        trusted = command[0] == "train" and command[1].startswith(str(sprung.parent))  # the run file is the user's own
        if sprung.exists():
            sprung.unlink()
            if not trusted:
                return "foreign import"
        try:
            if os.read(self._watch, 4096):
                return "file opened outside"
        except BlockingIOError:
            pass
        if done.returncode < 0:
            return f"signal {-done.returncode}"
        if "Traceback" in done.stderr:
            return "traceback: " + done.stderr.strip().splitlines()[-1][:160]
        worded = done.returncode in (1, 2) and done.stderr.startswith(("distnn: error", "Usage:", "distnn: warning"))
        return "" if done.returncode == 0 or worded else f"exit {done.returncode}: {done.stderr[:160]}"


def share(seed: int, numbers: list[tuple[str, int]], keep: Path | None) -> tuple[Counter[str], list[str]]:
    """Some of the files: how many commands of each kind were run, and what was wrong."""
    _server.cache_clear()  # two processes can't speak with one that they were forked with
    counts: Counter[str] = Counter()
    wrong = []
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
        bench = Bench(Path(folder))
        for kind, number in numbers:
            path = bench.spoilt(kind, number, random.Random(f"{seed} {kind} {number}"))
            counts[f"{kind} files"] += 1
            for command in bench.commands(kind, path):
                counts[f"{kind} commands"] += 1
                if fault := bench.verdict(command):
                    wrong.append(f"{kind} {number}, {command[0]}: {fault}")
                    if keep is not None:
                        keep.mkdir(exist_ok=True)
                        (keep / path.name).write_bytes(path.read_bytes())
    return counts, wrong


def fuzz(
    seed: int, files: dict[str, int], keep: Path | None = None, processes: int = 2
) -> tuple[Counter[str], list[str]]:
    """So many files of each kind, in a few processes; `share`'s results together."""
    numbers = [(kind, number) for kind, count in files.items() for number in range(count)]
    work: Callable[..., Any] = share
    with ProcessPoolExecutor(processes) as pool:
        parts = [pool.submit(work, seed, numbers[k::processes], keep) for k in range(processes)]
        results = [part.result() for part in parts]
    return sum((counts for counts, _ in results), Counter()), [text for _, wrong in results for text in wrong]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--files", type=int, help="of each kind, instead of 500, 400 and 300")
    parser.add_argument("--keep", type=Path, help="copy the files that did not pass into this folder")
    chosen = parser.parse_args()
    files = dict.fromkeys(KINDS, chosen.files) if chosen.files else KINDS
    counts, wrong = fuzz(chosen.seed, files, chosen.keep)
    for name, count in counts.items():
        print(f"{count:8,} {name}")
    print(f"{len(wrong):8,} faults", *sorted(wrong), sep="\n")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
