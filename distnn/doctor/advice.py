"""What is wrong with a launch, in a line each that says what to do."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from statistics import median

from distnn.doctor.facts import Examination, Rank
from distnn.report.words import count

#: A rank that computes at less than this share of the median is slow: every step waits for it.
SLOW = 0.8
#: Shared memory that a small node-wide reduction needs at least, in bytes.
LEAST_SHARED = 64 * 1024**2


def advice(found: Examination) -> list[str]:
    """A line for each thing found wrong; none for a good launch."""
    lines: list[str] = []
    for ranks in found.nodes:
        lines += _node([found.ranks[rank] for rank in ranks])
    return [*lines, *_speeds(found), *_blas(found.ranks), *_versions(found.ranks), *_folders(found)]


def _node(ranks: list[Rank]) -> Iterator[str]:
    """The cores of one node."""
    host, cores = ranks[0].host, sorted({core for rank in ranks for core in rank.cores})
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
    elif shared := sorted(_shared(ranks)):
        yield (
            f"{host}: ranks {spans(shared)} are not bound to cores of their own, so two may run on one. Bind them: "
            f"mpiexec --bind-to core (MPICH: -bind-to core), srun --cpu-bind=cores with --cpus-per-task."
        )
    if threads < len(cores):
        yield (
            f"{host}: {threads} threads in all leave {count(len(cores) - threads, 'core')} of {len(cores)} idle. "
            f"Start more ranks, or more threads (OMP_NUM_THREADS={len(cores) // len(ranks)}, or parallel.threads)."
        )
    if len(ranks) > 1 and min(rank.shared for rank in ranks) < LEAST_SHARED:
        free = min(rank.shared for rank in ranks)
        yield (
            f"{host}: only {free / 1e6:.0f} MB of memory are free for what the ranks of a node share, such as sums of "
            f"gradients: larger models fall back to MPI's Allreduce. Give the job more memory; a container whose ranks "
            f"share through /dev/shm more of that (docker --shm-size)."
        )


def _shared(ranks: list[Rank]) -> set[int]:
    """The ranks that may run on a core that another may run on too."""
    owners: dict[int, list[int]] = {}
    for rank in ranks:
        for core in rank.cores:
            owners.setdefault(core, []).append(rank.rank)
    return {rank for users in owners.values() if len(users) > 1 for rank in users}


def _speeds(found: Examination) -> Iterator[str]:
    """Slow ranks, compared by thread; but not where ranks take turns, which makes them slow."""
    usual = median(rank.sgemm / rank.threads for rank in found.ranks)
    for numbers in found.nodes:
        ranks = [found.ranks[number] for number in numbers]
        slow = [rank for rank in ranks if rank.sgemm / rank.threads < SLOW * usual]
        if not slow or sum(rank.threads for rank in ranks) > len({core for rank in ranks for core in rank.cores}):
            continue
        host, worst = ranks[0].host, min(rank.sgemm / rank.threads for rank in slow)
        cure = f", or leave it out (srun --exclude={host})" if len(found.nodes) > 1 else ""
        yield (
            f"{host}: rank {spans([rank.rank for rank in slow])} is slow, and every step waits for the slowest: it "
            f"multiplies matrices at {worst:.0f} GFLOP/s a thread, {worst / usual:.2f} of the median rank. See what "
            f"else runs there{cure}."
        )


def _blas(ranks: list[Rank]) -> Iterator[str]:
    """A BLAS, or kernels of it, that the processor could do better than."""
    for rank in ranks:
        if not rank.blas:
            yield (
                f"{rank.host}: numpy's BLAS is not known here, and may be a slow one. numpy from PyPI brings OpenBLAS; "
                f"'python -c \"import numpy; numpy.show_config()\"' tells what it was built with."
            )
            return
        if rank.avx512 and rank.blas.startswith("openblas") and "Haswell" in rank.blas:
            yield (
                f"{rank.host}: {rank.cpu} has AVX-512, but {rank.blas} uses AVX2. Set OPENBLAS_CORETYPE=SKYLAKEX "
                f"before Python starts; import distnn before numpy, which does it."
            )
            return


def _versions(ranks: list[Rank]) -> Iterator[str]:
    """What isn't the same on all ranks."""
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


def _folders(found: Examination) -> Iterator[str]:
    """Locks in the folder."""
    for problem, group in groupby(sorted(found.ranks, key=lambda rank: rank.locks), key=lambda rank: rank.locks):
        members = [rank.rank for rank in group]
        if problem and not problem.startswith("switched off"):
            cure = (
                "choose a folder that the job may write to"
                if problem.startswith("can't write")
                else "set HDF5_USE_FILE_LOCKING=BEST_EFFORT (or FALSE), and let one job at a time write"
            )
            yield f"{found.folder}, seen by rank {spans(members)}: {problem}; {cure}."


def spans(numbers: list[int]) -> str:
    """``0-3, 7``: ascending numbers, those in a row as a span."""
    found: list[list[int]] = []
    for number in numbers:
        if found and number == found[-1][-1] + 1:
            found[-1].append(number)
        else:
            found.append([number])
    return ", ".join(str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in found)
