"""Advice on a launch: one line for each problem, which says what to do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import groupby
from statistics import median

from distnn.doctor.facts import Examination, Rank
from distnn.report.words import count

#: A rank slower than this share of the median counts as slow: every step waits for it.
SLOW = 0.8
#: The least shared memory in which the ranks of a node can sum a small model, in bytes.
LEAST_SHARED = 64 * 1024**2


def advice(launch: Examination) -> list[str]:
    """A line for each problem; none for a good launch."""
    nodes = [[launch.ranks[number] for number in numbers] for numbers in launch.nodes]
    lines = [line for ranks in nodes for line in _node(ranks)]
    return [*lines, *_speeds(nodes), *_blas(launch.ranks), *_versions(launch.ranks), *_folders(launch)]


def _node(ranks: list[Rank]) -> Iterator[str]:
    """Advice on the cores and the shared memory of one node."""
    host, cores = ranks[0].host, Counter(core for rank in ranks for core in rank.cores)
    threads = sum(rank.threads for rank in ranks)
    if threads > len(cores):
        bound = len(cores) < ranks[0].node_cores
        few = (
            f"set OMP_NUM_THREADS={len(cores) // len(ranks)}" if len(ranks) <= len(cores) else "start fewer ranks on it"
        )
        own = ", or give each cores of its own (srun --cpus-per-task)" if bound else ""
        yield (
            f"{host}: {count(len(ranks), 'rank')} with {count(threads, 'thread')} in all on "
            f"{count(len(cores), 'core')} take turns: {few}{own}."
        )
    elif shared := [rank.rank for rank in ranks if any(cores[core] > 1 for core in rank.cores)]:
        yield (
            f"{host}: ranks {spans(shared)} are not bound to cores of their own, so two may run on one. Bind them: "
            f"mpiexec --bind-to core (MPICH: -bind-to core), or srun --cpu-bind=cores with --cpus-per-task."
        )
    if threads < len(cores):
        yield (
            f"{host}: {threads} threads in all leave {count(len(cores) - threads, 'core')} of {len(cores)} idle. "
            f"Start more ranks, or more threads (OMP_NUM_THREADS={len(cores) // len(ranks)}, or parallel.threads)."
        )
    free = min((rank.shared for rank in ranks if rank.shared is not None), default=LEAST_SHARED)
    if len(ranks) > 1 and free == 0:
        yield (
            f"{host}: the ranks can't share memory, so they sum their gradients by MPI's Allreduce, which is slower. "
            f"Run all ranks of a node in one container."
        )
    elif len(ranks) > 1 and free < LEAST_SHARED:
        place = next((rank.place for rank in ranks if rank.place), "")
        where, cure = (
            (f" in {place}", "the container more (docker --shm-size)") if place else ("", "the job more memory")
        )
        yield (
            f"{host}: only {free / 1e6:.0f} MB of memory are free for what the ranks of a node share{where}: larger "
            f"models sum their gradients by MPI's Allreduce, which is slower. Give {cure}."
        )


def _speeds(nodes: list[list[Rank]]) -> Iterator[str]:
    """Slow ranks, compared by thread; but not where ranks take turns, which makes them slow."""
    usual = median(rank.sgemm / rank.threads for ranks in nodes for rank in ranks)
    for ranks in nodes:
        slow = [rank for rank in ranks if rank.sgemm / rank.threads < SLOW * usual]
        if not slow or sum(rank.threads for rank in ranks) > len({core for rank in ranks for core in rank.cores}):
            continue
        host, worst = ranks[0].host, min(rank.sgemm / rank.threads for rank in slow)
        cure = f", or leave it out (srun --exclude={host})" if len(nodes) > 1 else ""
        yield (
            f"{host}: rank {spans([rank.rank for rank in slow])} is slow, and every step waits for the slowest: it "
            f"multiplies matrices at {worst:.0f} GFLOP/s per thread, {worst / usual:.2f} of the median rank. See what "
            f"else runs there{cure}."
        )


def _blas(ranks: list[Rank]) -> Iterator[str]:
    """A BLAS, or kernels of it, that don't use the full speed of the processor."""
    for rank in ranks:
        if not rank.blas:
            yield (
                f"{rank.host}: numpy's BLAS is unknown, and may be a slow one. numpy from PyPI includes OpenBLAS; "
                f"'python -c \"import numpy; numpy.show_config()\"' shows what it was built with."
            )
            return
        if rank.avx512 and rank.blas.startswith("openblas") and "Haswell" in rank.blas:
            yield (
                f"{rank.host}: {rank.cpu} has AVX-512, but {rank.blas} uses AVX2. Set OPENBLAS_CORETYPE=SKYLAKEX "
                f"before Python starts, or import distnn before numpy, which does the same."
            )
            return


def _versions(ranks: list[Rank]) -> Iterator[str]:
    """Versions and processors that differ between ranks."""
    for name, usual in ranks[0].versions.items():
        others = [rank for rank in ranks if rank.versions[name] != usual]
        if others:
            named = f"rank {spans([rank.rank for rank in others])} ({others[0].host})"
            yield (
                f"{name} is {usual} on rank 0, but {others[0].versions[name]} on {named}: ranks may compute different "
                f"bits. Start the same Python everywhere."
            )
    cpus = sorted({rank.cpu for rank in ranks})
    if len(cpus) > 1:
        yield f"the hosts differ: {'; '.join(cpus)}. The slowest sets the pace (srun --constraint chooses one kind)."


def _folders(launch: Examination) -> Iterator[str]:
    """Problems with file locks in the folder."""
    for problem, group in groupby(sorted(launch.ranks, key=lambda rank: rank.locks), key=lambda rank: rank.locks):
        members = [rank.rank for rank in group]
        if problem and not problem.startswith("switched off"):
            cure = (
                "choose a folder that the job may write to"
                if problem.startswith("can't write")
                else "set HDF5_USE_FILE_LOCKING=BEST_EFFORT (or FALSE), and let one job at a time write"
            )
            yield f"{launch.folder}, seen by rank {spans(members)}: {problem}; {cure}."


def spans(numbers: list[int]) -> str:
    """``0-3, 7``: ascending numbers as text, with consecutive ones as a span."""
    consecutive = groupby(enumerate(numbers), key=lambda pair: pair[1] - pair[0])
    runs = [[number for _, number in group] for _, group in consecutive]
    return ", ".join(str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs)
