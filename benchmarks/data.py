"""Training on a file that is larger than the memory is to be: how fast it is read, and what the training waits for;
and the same samples in compressed chunks of several shapes.

    mpiexec -n 2 python benchmarks/data.py FOLDER

See README.md in this folder.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from statistics import median
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import distnn.runtime  # noqa: F401 (before numpy)

# isort: split
import h5py
import numpy as np

from distnn import config, runtime
from distnn.checkpoint.environment import cpu
from distnn.data import DataFile, write_data
from distnn.data.file.fields import Description, Location
from distnn.data.file.unpacking import inflation
from distnn.data.order import stored
from distnn.data.partition import Range
from distnn.data.stream import Stream
from distnn.parallel.communicator import Communicator
from distnn.parallel.world import World
from distnn.session.build import Run
from distnn.session.samples import sample_order, training_source

SHAPE, BATCH, BUFFER = (28, 28), 256, 65536
#: At least so much of the speed of reading; at most so much of the time waiting, and so many MiB a rank.
SPEED, WAITING, MEMORY = 0.7, 0.05, 600
#: By what factor chunks of one shape may take more of the processor than those of another.
SHAPES = 1.3


class Images:
    """So many random images, made as they are written."""

    dtype = np.dtype(np.uint8)

    def __init__(self, count: int) -> None:
        self.shape = (count, *SHAPE)
        self._some = np.random.default_rng(0).integers(0, 256, (1 << 16, *SHAPE), np.uint8)

    def __getitem__(self, where: slice) -> Any:
        return self._some[np.arange(where.start, min(where.stop, self.shape[0])) % len(self._some)]


def make(path: Path, size: int) -> None:
    """A file of ``size`` bytes of images in distnn's usual chunks, on the disk."""
    count = size // int(np.prod(SHAPE))
    labels = np.random.default_rng(1).integers(0, 10, count).astype(np.uint8)
    few = (np.zeros((1000, *SHAPE), np.uint8), labels[:1000])
    data = {"train": (Images(count), labels), "validation": few}
    write_data(path, data, task="classification", classes=[str(k) for k in range(10)], scale=1 / 255)


def forget(path: Path) -> None:
    """Let the system drop what it holds of the file."""
    descriptor = os.open(path, os.O_RDONLY)
    os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    os.close(descriptor)


def sequential(path: Path, size: int) -> float:
    """Bytes per second of reading chunk after chunk in the file's order."""
    with h5py.File(path) as file:
        images = file["train/x"]
        length = images.chunks[0]
        scratch = np.empty((length, *SHAPE), np.uint8)
        start = time.perf_counter()
        for first in range(0, len(images), length):
            count = min(length, len(images) - first)
            images.read_direct(scratch, np.s_[first : first + count], np.s_[:count])
        return size / (time.perf_counter() - start)


def fancy(path: Path, samples: int = 256) -> float:
    """Bytes per second of reading batches of random images by their numbers."""
    with h5py.File(path) as file:
        images, random = file["train/x"], np.random.default_rng(0)
        start = time.perf_counter()
        for _ in range(2):
            images[np.sort(random.choice(len(images), samples, replace=False))]
        return 2 * samples * int(np.prod(SHAPE)) / (time.perf_counter() - start)


def pipeline(path: Path, size: int, settings: Any) -> float:
    """Bytes per second through the shuffle and the conversion into a plan's input, by one process."""
    with DataFile(path) as file:
        count = file.count("train")
        stream = Stream(file, "train", None, sample_order(settings, file, BATCH, in_memory=False))
    x, y = np.empty((BATCH, *SHAPE), np.float32), np.empty(BATCH, np.int64)
    stream.begin(0, 0)
    start = time.perf_counter()
    for first in range(0, count - BATCH + 1, BATCH):
        stream.fill(Range(first, first + BATCH), {"x": x, "y": y})
    seconds = time.perf_counter() - start
    stream.close()
    return size / seconds


def waiting(settings: Any, world: World, seconds: float) -> dict[str, float]:
    """A training for so long: the share of the time that this rank's steps spend on data, and its peak memory."""
    with DataFile(settings.data.path) as file:
        run = Run(settings, file, world)
    step = run.step
    step.source.begin(0, 0)
    for window in range(10):
        step.run(window, 0.01, number=window)
    data, start, window = 0.0, time.perf_counter(), 10
    go = np.ones(1)
    while go[0] and window < step.windows:
        data += step.run(window, 0.01, number=window).spent.data
        window += 1
        if window % 50 == 0:
            go[0] = world.comm.root and time.perf_counter() - start < seconds
            world.comm.share(go)
    spent = time.perf_counter() - start
    run.close()
    peak = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return {
        "share": data / spent,
        "samples_per_s": (window - 10) * BATCH / spent,
        "peak_mib": int(peak.split()[1]) / 1024,
    }


def shapes(folder: Path, size: int) -> dict[str, dict[str, float]]:
    """Processor seconds for the same ``size`` bytes, deflated in chunks of rows, one chunk, and chunks of columns."""
    pixels = int(np.prod(SHAPE))
    count = size // pixels
    images = np.random.default_rng(0).integers(0, 4, (count, pixels), np.uint8) * np.uint8(60)
    chunks = {"rows": (640, pixels), "one": (count, pixels), "columns": (count, 8)}
    return {name: passes(folder, images, chunk, compression="gzip") for name, chunk in chunks.items()}


def filters(folder: Path, size: int) -> dict[str, dict[str, float]]:
    """Processor seconds for ``size`` bytes of float32 in chunks of rows that have passed several filters."""
    values = np.random.default_rng(0).normal(size=(size // 4096, 1024)).astype(np.float32).round(2)
    options: dict[str, dict[str, Any]] = {
        "none": {},
        "checksum": {"fletcher32": True},
        "gzip": {"compression": "gzip"},
        "gzip, shuffled": {"compression": "gzip", "shuffle": True},
        "gzip, shuffled, checksum": {"compression": "gzip", "shuffle": True, "fletcher32": True},
        "lzf": {"compression": "lzf"},
    }
    return {name: passes(folder, values, (min(128, len(values)), 1024), **each) for name, each in options.items()}


def passes(folder: Path, samples: Any, chunks: tuple[int, ...], **options: Any) -> dict[str, float]:
    """Processor seconds for loading samples that are stored so, and for the first and the second pass of a stream."""
    path = folder / f"distnn-benchmark-{os.getpid()}-passes.h5"
    level = {"compression_opts": 1} if options.get("compression") == "gzip" else {}
    try:
        write(path, samples, chunks, **options, **level)
        with DataFile(path) as data:
            found = {"load": spent(lambda: loaded(data))}
        with DataFile(path) as data, closing(Stream(data, "train")) as stream:
            found["first"], found["later"] = (spent(lambda: streamed(stream)) for _ in range(2))
        return found
    finally:
        path.unlink(missing_ok=True)


def write(path: Path, samples: Any, chunks: tuple[int, ...], **options: Any) -> None:
    with h5py.File(path, "w") as file:
        file.attrs.update({"task": "classification", "classes": [str(k) for k in range(10)]})
        file.create_dataset("train/x", data=samples, chunks=chunks, **options)
        file["train/y"] = np.arange(len(samples)) % 10


def by_all(folder: Path, size: int, world: World) -> dict[str, float]:
    """Processor seconds of all ranks for a later pass in step, where each reads for itself and where for the others."""
    path = world.comm.bcast(folder / f"distnn-benchmark-{os.getpid()}-ranks.h5")
    images = np.random.default_rng(0).integers(0, 4, (size // 784, 784), np.uint8) * np.uint8(60)
    found = {}
    try:
        world.comm.on_root(lambda: write(path, images, (640, 784), compression="gzip", compression_opts=1))
        for name, comm in (("alone", Communicator()), ("together", world.comm)):
            with DataFile(path) as data:
                order = sample_order(buffered(path), data, BATCH, in_memory=False)
                with closing(training_source(data, order, comm, in_memory=False)) as stream:
                    streamed(stream, world)  # which is the first to touch its memory
                    found[name] = sum(world.comm.allgather(spent(lambda: streamed(stream, world))))
    finally:
        if world.comm.root:
            path.unlink(missing_ok=True)
    return found


def meet(world: World) -> None:
    """Wait for the other ranks, asleep, where MPI's own waiting would take a core from what is measured."""
    if world.comm.size > 1:
        met = world.comm.mpi.Ibarrier()
        while not met.Test():
            time.sleep(0.002)


def one_sample_files(folder: Path, count: int) -> dict[str, float]:
    """Processor milliseconds for each of many files of one sample: made known, read, and read by h5py alone."""
    place = folder / f"distnn-benchmark-{os.getpid()}-files"
    place.mkdir()
    image, labels = np.ones((16, 16, 4), np.float32), np.ones((16, 16), np.uint8)
    try:
        for k in range(count):
            with h5py.File(place / f"{k:05}.h5", "w") as file:
                file["climate/data"], file["climate/labels_0"] = image, labels
        fields = {"x": Location(("climate/data",)), "y": Location(("climate/labels_0",))}
        description = Description(fields, "segmentation", 3, one_sample_files=True)
        found = {"known": spent(lambda: DataFile(place / "*.h5", description=description).close())}
        with DataFile(place / "*.h5", description=description) as data:
            found["read"] = spent(lambda: data.read("train"))
        found["h5py"] = spent(lambda: bare(place, image.copy(), labels.copy()))
        return {name: 1000 * seconds / count for name, seconds in found.items()}
    finally:
        shutil.rmtree(place)


def bare(folder: Path, image: Any, labels: Any) -> None:
    """All of them by h5py, unchecked."""
    for path in sorted(folder.glob("*.h5")):
        with h5py.File(path) as file:
            file["climate/data"].read_direct(image)
            file["climate/labels_0"].read_direct(labels)


def loaded(data: DataFile) -> None:
    """All samples in memory, as a run has them."""
    training_source(data, stored(data.count("train")), Communicator(), in_memory=True)


def streamed(stream: Any, world: World | None = None) -> None:
    """All samples once, as stored; with other ranks, block by block in step."""
    stream.begin(0, 0)
    for number in range(len(stream.order.starts) - 1):
        stream._load(number)
        if world:
            meet(world)


def spent(work: Callable[[], None]) -> float:
    """Seconds of the processor, of all threads: other programs disturb them little."""
    start = time.process_time()
    work()
    return time.process_time() - start


def rate(measure: Callable[[], float], path: Path, warm: bool) -> float:
    """A measurement that begins with a file that isn't in the system's memory, or (``warm``) may be."""
    if not warm:
        forget(path)
    return measure()


def buffered(path: Path) -> Any:
    """A training on a file, shuffled in buffers."""
    table = {
        "data": {"path": str(path), "batch_size": BATCH, "shuffle_buffer": BUFFER, "in_memory": False},
        "model": {"kind": "mlp", "hidden": [512, 512]},
        "optimizer": {"learning_rate": 0.01, "momentum": 0.9},
    }
    return config.from_dict(table, "benchmark")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="on the disk that is measured")
    parser.add_argument("--gib", type=float, default=4.0, help="the size of the file")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=20.0, help="of the training")
    parser.add_argument("--shapes-mb", type=float, default=500.0, help="of samples in chunks of several shapes")
    parser.add_argument("--warm", action="store_true", help="let the system keep the file in its memory")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    world = World.open()
    size = int(given.gib * 2**30)
    path = given.folder / f"distnn-benchmark-{os.getpid()}.h5"
    path = world.comm.bcast(path)
    try:
        world.comm.on_root(lambda: make(path, size))
        settings = buffered(path)
        # The training first: its peak of memory is to be its own.
        trained = world.comm.allgather(waiting(settings, world, given.seconds))
        ranks = by_all(given.folder, int(given.shapes_mb * 1e6), world)
        if world.comm.root:
            found = report(path, size, settings, trained, given)
            found |= report_chunks(ranks, world.comm.size, given)
            if given.json:
                given.json.write_text(json.dumps(found, indent=1))
        meet(world)
    finally:
        if world.comm.root:
            path.unlink(missing_ok=True)


def report(
    path: Path, size: int, settings: Any, trained: list[dict[str, float]], given: argparse.Namespace
) -> dict[str, Any]:
    """Measure the rest on rank 0, and print everything."""
    found: dict[str, Any] = {"bytes": size, "training": trained, "rounds": []}
    where = "may be in the system's memory" if given.warm else "is read from the disk"
    print(
        f"{size / 2**30:.2f} GiB of images 28×28, shuffled in buffers of {BUFFER:,}; {len(trained)} ranks; it {where}"
    )
    for rank, values in enumerate(trained):
        print(
            f"rank {rank}: MLP 784-512-512-10 @{BATCH}, {values['samples_per_s']:,.0f} samples/s, "
            f"{100 * values['share']:.1f} % of the time on data (goal: less than {100 * WAITING:.0f} %), peak memory "
            f"{values['peak_mib']:.0f} MiB (goal: less than {MEMORY})",
            flush=True,
        )
    for _ in range(given.rounds):
        plain = rate(lambda: sequential(path, size), path, given.warm)
        ours = rate(lambda: pipeline(path, size, settings), path, given.warm)
        found["rounds"].append({"sequential": plain, "pipeline": ours, "fancy": fancy(path)})
        print(
            f"sequential chunks {plain / 1e6:6.0f} MB/s   pipeline {ours / 1e6:6.0f} MB/s = {ours / plain:.2f} of it "
            f"(goal {SPEED})   random images by number {found['rounds'][-1]['fancy'] / 1e6:.0f} MB/s",
            flush=True,
        )
    found["ratio"] = median(r["pipeline"] / r["sequential"] for r in found["rounds"])
    print(f"median: {found['ratio']:.2f}")
    return found


def report_chunks(ranks: dict[str, float], count: int, given: argparse.Namespace) -> dict[str, Any]:
    """Measure compressed chunks and small files on rank 0, and print everything."""
    size = int(given.shapes_mb * 1e6)
    found = {"shapes": shapes(given.folder, size), "filters": filters(given.folder, size // 5), "ranks": ranks}
    print(f"processor seconds on {cpu()}, {runtime.cores()} cores a rank, inflated by {inflation().__name__}")
    for way in ("load", "first", "later"):
        seconds = {name: values[way] for name, values in found["shapes"].items()}
        print(
            f"{way} of {given.shapes_mb:.0f} MB, deflated: "
            + ", ".join(f"{name} {each:.2f} s" for name, each in seconds.items())
            + f"; the slowest {max(seconds.values()) / min(seconds.values()):.2f} × the fastest (goal {SHAPES})",
            flush=True,
        )
    for name, values in found["filters"].items():
        print(f"{size / 5e6:.0f} MB, {name}: " + ", ".join(f"{way} {each:.2f} s" for way, each in values.items()))
    print(
        f"a pass of {count} ranks over {given.shapes_mb:.0f} MB, deflated: {ranks['alone']:.2f} s in all where each "
        f"reads for itself, {ranks['together']:.2f} s where they read for each other"
    )
    found["files"] = one_sample_files(given.folder, max(10, int(given.shapes_mb)))
    print("a file of one sample: " + ", ".join(f"{name} {ms:.2f} ms" for name, ms in found["files"].items()))
    return found


if __name__ == "__main__":
    main()
