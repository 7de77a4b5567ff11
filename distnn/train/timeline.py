"""A timeline of a run's first steps: what each rank did when, as a file that Chrome and Perfetto show.

The file is in the Trace Event Format (Google, 2016), which chrome://tracing and https://ui.perfetto.dev open: a process
for each rank, with the training in one line and the writing of checkpoints in another. Times count from the beginning
of the training, at which the ranks meet; their clocks go on by themselves from there.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter
from typing import Any

from distnn import outputs
from distnn.parallel.communicator import Communicator

#: Events of all ranks together, about 100 bytes each; a rank that has had its part of them records no more.
EVENTS = 100_000
#: The lines of a rank.
TRAINING, SAVING = 0, 1

#: What took from a start to a stop, in seconds of this rank's clock, on a line of the picture; and what else is shown
#: of it. A plain tuple: Python's garbage collector leaves those of numbers and texts alone, however many there are.
Event = tuple[str, float, float, int, str]


class Timeline:
    """Records this rank's events."""

    def __init__(self, comm: Communicator) -> None:
        self.comm = comm
        self.events: list[Event] = []
        self._most = max(100, EVENTS // comm.size)
        self._origin = perf_counter()

    def begin(self) -> None:
        """Count times from now on; every rank has to call it."""
        self.comm.barrier()
        self._origin = perf_counter()

    def add(self, name: str, start: float, stop: float, line: int = TRAINING, facts: str = "") -> None:
        """Record an event, if there aren't too many yet; ``facts`` are shown beside it."""
        if len(self.events) < self._most:
            self.events.append((name, start, stop, line, facts))

    def step(self, start: float, filled: float, turned: float, stop: float, shard: int) -> None:
        """Record a micro-shard: when its samples were asked for and there, and when forward and backward were done."""
        facts = f"micro-shard {shard}"
        self.add("data", start, filled, facts=facts)
        self.add("forward", filled, turned, facts=facts)
        self.add("backward", turned, stop, facts=facts)

    def write(self, path: Path) -> None:
        """Write the events of all ranks to ``path``; every rank has to call it.

        Raises:
            DataError: on every rank, if it can't be written.
        """
        everyone = self.comm.gather([self._plain(event) for event in self.events])
        self.comm.on_root(lambda: self._write(path, everyone or []))

    def _plain(self, event: Event) -> dict[str, Any]:
        """An event in the format's words; its times are in microseconds."""
        name, start, stop, line, facts = event
        times = {"ts": round(1e6 * (start - self._origin), 2), "dur": round(1e6 * (stop - start), 2)}
        plain = {"name": name, "ph": "X", **times, "pid": self.comm.rank, "tid": line}
        return plain | ({"args": {"of": facts}} if facts else {})

    def _write(self, path: Path, events: Sequence[list[dict[str, Any]]]) -> None:
        names = []
        for rank, host in enumerate(self.comm.hosts):
            names.append({"name": "process_name", "ph": "M", "pid": rank, "args": {"name": f"rank {rank} on {host}"}})
            for line, name in ((TRAINING, "training"), (SAVING, "checkpoints")):
                names.append({"name": "thread_name", "ph": "M", "pid": rank, "tid": line, "args": {"name": name}})
        outputs.write(
            path, json.dumps({"traceEvents": names + [event for each in events for event in each]}), force=True
        )
