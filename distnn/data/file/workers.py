"""Threads that unpack data: as many as this process may keep busy, asleep while there is nothing to do."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import TypeVar

from distnn import runtime

T = TypeVar("T")
#: More than any process has cores: how many of them start is decided by how many jobs are given at a time.
_MOST = 1024
_threads: list[ThreadPoolExecutor] = []
os.register_at_fork(after_in_child=_threads.clear)  # it has none of them


def in_order(jobs: Iterable[Callable[[], T]], most: int) -> Iterator[T]:
    """What the jobs return, in their order; up to ``most`` of them, and one for each core of this process, at a time.

    Each is taken when there is a thread for it. If one fails, those that have begun are waited for.
    """
    most = min(most, runtime.cores())
    if most <= 1:
        for job in jobs:
            yield job()
        return
    if not _threads:
        _threads.append(ThreadPoolExecutor(_MOST, "distnn unpacking"))
    running: deque[Future[T]] = deque()
    try:
        for job in jobs:
            running.append(_threads[0].submit(job))
            if len(running) == most:
                yield running.popleft().result()
        while running:
            yield running.popleft().result()
    finally:
        wait(running)
