"""Damaged and hostile files, by the hundred, for every verb that reads them: each is answered in words.

    python -m tests.fuzz                       500 data files, 400 checkpoints, 300 run files and 200 sources of
                                               converters and predictions; prints a table
    python -m tests.fuzz --files 10000 --seed 7

A file passes if the process ends in time with exit code 0 or with an error in words, without a traceback or a signal,
imports nothing that the file names, opens no file elsewhere, leaves no half a file behind, and sends the terminal
nothing but text. `tests.fuzz_files` makes the files.
"""

from __future__ import annotations

import argparse
import ctypes
import dataclasses
import json
import os
import random
import resource
import shutil
import subprocess
import sys
import tempfile
import unicodedata
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import cache, cached_property
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np

from distnn import checkpoint, config
from distnn.checkpoint import Checkpoint
from distnn.config.text import write
from tests import fuzz_files as files
from tests.fuzz_files import ODD, damaged, odd
from tests.support.forked import _server, forked
from tests.support.launch import environment
from tests.support.runs import distnn, run_file, saved

KINDS = {"data": 500, "checkpoint": 400, "run file": 300, "source": 200}
#: Seconds for one command.
LIMIT = 60
#: Bytes of memory for one command; who wants more is refused them, and has to say so.
MEMORY = 16 * 2**30

Command = list[str]


class Subject(NamedTuple):
    """A data set, the run file that trains on it, and the checkpoint of that run."""

    data: Path
    run: Path
    good: Path
    saved: Checkpoint


class Bench:
    """A folder with good files, spoilt copies of them, and what may not be touched."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.work = folder, folder / "work"
        self.work.mkdir()
        (folder / "secret").mkdir()
        self.secret = folder / "secret" / "file.h5"
        with h5py.File(self.secret, "w") as file:
            file["x"] = np.zeros((60, 64), np.uint8)
        (folder / "good").mkdir()
        self.run = self.subject("digits").run
        libc = ctypes.CDLL(None, use_errno=True)
        self._watch = libc.inotify_init1(os.O_NONBLOCK)
        libc.inotify_add_watch(self._watch, os.fsencode(self.secret.parent), 0x122)  # IN_OPEN, IN_CREATE, IN_MODIFY

    @cache  # noqa: B019 (it lives as long as the process)
    def subject(self, name: str) -> Subject:
        """One of `files.SUBJECTS`, or what a converter makes of its source."""
        if name in files.SUBJECTS:
            return self._trained(files.SUBJECTS[name](self.folder / "good"))
        return self._converted(name, ["--target", "tip", "--types", "when=date"] if name == "csv" else [])

    @cached_property
    def sources(self) -> dict[str, Path]:
        """What converters read, by their commands."""
        return files.sources(self.folder / "good")

    def _trained(self, run: Path) -> Subject:
        out = run.with_name(f"{run.stem}-run")
        done = distnn("train", run, "--out", out, "--quiet")
        assert done.returncode == 0, done
        return Subject(Path(config.read(run).data.path), run, checkpoint.resolve(out), saved(out))

    def _converted(self, command: str, options: list[str]) -> Subject:
        data, run = self.folder / "good" / f"{command}.h5", self.folder / "good" / f"{command}.toml"
        done = distnn("data", command, self.sources[command], *options, "-o", data)
        assert done.returncode == 0, done
        chosen = {"path": str(data), "batch_size": 8}
        return self._trained(run_file(run, model={"hidden": [4]}, data=chosen, train={"epochs": 1}))

    def spoilt(self, kind: str, number: int, chance: random.Random) -> tuple[Path, list[Command]]:
        """A file of this kind, its bytes damaged or its content odd, and what is done with it."""
        (self.work / "trap.py").write_text("from pathlib import Path\nPath('sprung').touch()\n", encoding="utf-8")
        subject = self.subject([*files.SUBJECTS][number % len(files.SUBJECTS)])
        make = {"data": self._data, "checkpoint": self._checkpoint, "run file": self._run_file, "source": self._source}
        path, commands = make[kind](self.work / str(number), subject, chance)
        return path, chance.sample(commands, min(3, len(commands)))

    def _data(self, path: Path, subject: Subject, chance: random.Random) -> tuple[Path, list[Command]]:
        data, spoil = path.with_suffix(".h5"), path.with_suffix(".h5")
        if "*" in str(subject.data):
            shutil.copytree(subject.data.parent.parent, path)
            data, spoil = (
                path / "{split}" / "*.h5",
                path / chance.choice(["train/0.h5", "train/3.h5", "validation/0.h5"]),
            )
        else:
            shutil.copyfile(subject.data, spoil)
        index = spoil.parent / ".distnn-index.json"
        if index.exists() and chance.random() < 0.4:
            files.odd_index(index, chance, self.secret)
        elif chance.random() < 0.6:
            files.odd_data(spoil, chance, self.secret)
        else:
            spoil.write_bytes(damaged(spoil.read_bytes(), chance))
        out = f"{path}-out{chance.choice(['.h5', '.csv', '.npz', '.parquet'])}"
        known = [] if subject.run == self.run else ["--x", "in/a"] * chance.randrange(2)
        return spoil, [
            ["inspect", str(spoil), *["--verify"] * chance.randrange(2)],
            ["evaluate", str(subject.good), str(data)],
            ["predict", str(subject.good), str(data), "-o", out, *known],
            ["train", str(subject.run), "--set", f"data.path={data}", "--out", f"{path}-out", "--quiet"],
            ["init", "--data", str(spoil), "-o", f"{path}.toml"],
        ]

    def _checkpoint(self, path: Path, subject: Subject, chance: random.Random) -> tuple[Path, list[Command]]:
        out, path = f"{path}-out", path.with_suffix(".h5")
        if chance.random() < 0.7:
            names = ["settings", "model", "progress", "environment", "data", "data", "transforms", "parameters"]
            name = chance.choice([*names, "much"])
            if name == "much":
                forged = subject.saved
            else:
                change = files.odd_arrays if name in ("transforms", "parameters") else odd
                forged = dataclasses.replace(subject.saved, **{name: change(getattr(subject.saved, name), chance)})
            if name != "progress":
                forged.progress["step"] = forged.progress.get("step")
            try:
                checkpoint.save(Path(f"{out}-made"), forged, keep=1, best=False).rename(path)
                if name == "much":
                    files.declare_much(path, chance)
            except Exception:  # it can't even be written
                path.write_bytes(damaged(subject.good.read_bytes(), chance))
        else:
            path.write_bytes(damaged(subject.good.read_bytes(), chance))
        data = str(subject.data)
        return path, [
            ["inspect", str(path), *["--json"] * chance.randrange(2)],
            ["evaluate", str(path), data],
            ["predict", str(path), data, "-o", f"{out}{chance.choice(['.h5', '.csv', '.npz', '.parquet'])}"],
            ["sample", str(path), "--prompt", "a"],
            ["train", str(subject.run), "--resume", str(path), "--out", out, "--quiet"],
        ]

    def _run_file(self, path: Path, subject: Subject, chance: random.Random) -> tuple[Path, list[Command]]:
        out = f"{path}-out"
        path.mkdir()
        shutil.copyfile(subject.good.parent.parent / "metrics.jsonl", path / "metrics.jsonl")
        path /= "run.toml"
        text, way = subject.run.read_bytes(), chance.random()
        if way < 0.5:
            text = write(odd(config.to_dict(config.read(subject.run)), chance)).encode("utf-8", "surrogatepass")
        elif way < 0.7:
            lines = text.splitlines()
            key, _, _ = chance.choice([line for line in lines if b"=" in line]).partition(b"=")
            value = json.dumps(chance.choice([each for each in ODD if each is not None])).encode()
            text = b"\n".join(key + b"= " + value if line.startswith(key + b"=") else line for line in lines)
        path.write_bytes(damaged(text, chance) if not 0.3 < way < 0.8 else text)
        if chance.random() < 0.5:
            records = path.with_name("metrics.jsonl")
            records.write_bytes(damaged(records.read_bytes(), chance))
        small = ["--set", f"data.path={subject.data}", "--set", "train.epochs=1"]
        small += ["--set", "model.hidden=[4]"] if subject.run == self.run else []
        return path, [
            ["graph", str(path)],
            ["plan", str(path), "--site", "generic"],
            ["train", str(path), *small, "--out", out, "--quiet"],
            ["inspect", str(path)],
            ["compare", str(path.parent), str(self.subject("digits").good.parent.parent)],
        ]

    def _source(self, path: Path, _: Subject, chance: random.Random) -> tuple[Path, list[Command]]:
        command = [*self.sources][int(path.name) % len(self.sources)]
        good, out = self.sources[command], f"{path}-out"
        path = path.with_name(path.name + good.suffix)
        if command == "images":
            shutil.copytree(good, path)
            files.odd_images(path, chance)
            return path, [["data", command, str(path), *["--skip-broken"] * chance.randrange(2), "-o", f"{out}.h5"]]
        shutil.copyfile(good, path)
        change = {"csv": files.odd_table, "parquet": files.odd_parquet, "npz": files.odd_archive}[command]
        if chance.random() < 0.05:
            path.unlink()
            os.mkfifo(path)
        elif chance.random() < 0.6:
            change(path, chance)
        else:
            path.write_bytes(damaged(path.read_bytes(), chance))
        options = (
            ["--target", chance.choice(["tip", "kind", "day"]), "--types", "when=date"] if command != "npz" else []
        )
        options += (
            ["--missing", chance.choice(["drop", "keep"]), "--group", "when"]
            if options and chance.random() < 0.3
            else []
        )
        trained = self.subject("npz" if command == "npz" else "csv").good
        ending = chance.choice([".h5", ".csv", ".npz", ".parquet"])
        return path, [
            ["data", command, str(path), *options, "-o", f"{out}.h5"],
            ["predict", str(trained), str(path), "-o", f"{out}{ending}", *["--force"] * (ending == ".h5")],
        ]

    def verdict(self, command: Command) -> str:
        """Run it: nothing, or what is wrong."""
        sprung = self.work / "sprung"
        try:
            done = forked(command, cwd=self.work, env=environment("none"), timeout=LIMIT)
        except subprocess.TimeoutExpired:
            return "hang"
        trusted = command[0] == "train" and command[1].startswith(str(self.work))  # the run file is the user's own
        if sprung.exists():
            sprung.unlink()
            if not trusted:
                return "foreign import"
        try:
            if os.read(self._watch, 65536):
                return "file opened outside"
        except BlockingIOError:
            pass
        if left := [path.name for path in self.work.iterdir() if ".tmp" in path.name]:
            for name in left:
                (self.work / name).unlink()
            return f"left behind: {left}"
        if done.returncode < 0:
            return f"signal {-done.returncode}"
        if "Traceback" in done.stderr:
            return "traceback: " + done.stderr.strip().splitlines()[-1][:160]
        if steering := {each for each in done.stdout + done.stderr if unicodedata.category(each) == "Cc"} - {*"\n\t"}:
            return f"control characters: {steering}"
        worded = done.returncode in (1, 2) and "distnn: error" in done.stderr
        return "" if done.returncode == 0 or worded else f"exit {done.returncode}: {done.stderr[:160]}"


def share(seed: int, numbers: list[tuple[str, int]], keep: Path | None) -> tuple[Counter[str], list[str]]:
    """Some of the files: how many commands of each kind were run, and what was wrong."""
    _server.cache_clear()  # two processes can't speak with one that they were forked with
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    counts: Counter[str] = Counter()
    wrong = []
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
        bench = Bench(Path(folder))
        for kind, number in numbers:
            path, commands = bench.spoilt(kind, number, random.Random(f"{seed} {kind} {number}"))
            counts[f"{kind} files"] += 1
            for command in commands:
                counts[f"{kind} commands"] += 1
                if fault := bench.verdict(command):
                    wrong.append(f"{kind} {number}, {command[0]}: {fault}")
                    if keep is not None:
                        keep.mkdir(exist_ok=True)
                        subprocess.run(["cp", "-a", path, keep / f"{kind}-{path.name}"], check=True)
            shutil.rmtree(bench.work)
            bench.work.mkdir()
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
    parser.add_argument("--files", type=int, help="of each kind, instead of 500, 400, 300 and 200")
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
