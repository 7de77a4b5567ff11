"""A run on the console: a progress bar on a terminal, plain timestamped lines everywhere else, a summary at the end."""

from __future__ import annotations

import contextlib
import math
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TextIO

from distnn.errors import DistnnError
from distnn.report import words
from distnn.report.output import show
from distnn.session.metrics import Thinning
from distnn.session.records import EvaluationRecord, Listener, RunInfo, StepRecord, Summary

#: Seconds between two movements of the bar: smooth to the eye, nothing to the loop.
BAR_INTERVAL = 0.2
#: Seconds between two lines of a split's scores: of short epochs one doesn't read every line.
SCORES = 1.0


class Console(Listener):
    """Shows a run on ``stream``; made on rank 0 only, to which standard output belongs.

    Every epoch's scores are a line, but at most one of a split in `SCORES` seconds. A log gets at most one line of
    steps and one of checkpoints in ``log_interval`` seconds, and never a carriage return or an escape code. A stream
    that breaks (``| head``, a full disk) ends the output, not the run.

    Arguments:
        stream: where to write; standard output if None.
        log_interval: seconds between two lines of a log; 0 for all.
        quiet: show warnings and the summary only.
        clock: the time in seconds, for tests.
    """

    def __init__(
        self,
        stream: TextIO | None = None,
        log_interval: float = 10.0,
        *,
        quiet: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._stream = stream or sys.stdout or open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 (open until the process ends)
        self._quiet = quiet
        self._clock = clock
        # Open MPI's launcher gives each rank a terminal of its own, also where its own output goes to a file.
        forwarded = "OMPI_COMM_WORLD_SIZE" in os.environ
        self._terminal = self._stream.isatty() and not forwarded and os.environ.get("TERM", "dumb") != "dumb"
        self._log_interval = log_interval
        self.interval = math.inf if quiet else BAR_INTERVAL if self._terminal else log_interval
        self._thinning = Thinning(log_interval, clock)
        self._due: dict[str, float] = {}
        self._info: RunInfo | None = None
        self._last: StepRecord | None = None
        self._bar = None
        if self._terminal and not quiet:
            from distnn.report.bar import Bar

            self._bar = Bar(self._stream)

    def started(self, info: RunInfo) -> None:
        """Print the header, and show the bar."""
        self._info = info
        self._thinning.start()
        if self._quiet:
            return
        for line in words.header(info):
            self._line(line)
        if self._bar:
            self._bar.start(info)

    def stepped(self, record: StepRecord) -> None:
        """Move the bar, or print a line if the interval has passed."""
        self._last = record
        if self._bar:
            self._bar.step(record)
        elif not self._quiet:
            self._step_line(self._thinning.add(record))

    def evaluated(self, record: EvaluationRecord) -> None:
        """Print a line, and show the scores beside the bar."""
        if self._bar:
            self._bar.evaluation(record)
        self._seldom(record.split, words.evaluation(record), min(SCORES, self._log_interval))

    def saved(self, path: Path, step: int) -> None:
        """Print a line in a log; the summary names the last checkpoint on a terminal."""
        if not self._bar:
            self._seldom("saved", f"saved {path} (step {step:,})", self._log_interval)

    def resumed(self, path: Path, step: int) -> None:
        """Print where the run goes on."""
        if not self._quiet:
            self._line(f"resuming from {path} (step {step:,})")

    def warned(self, text: str) -> None:
        """Print the warning."""
        self._line(f"warning: {text}")

    def finished(self, summary: Summary) -> None:
        """Take the bar away and print the summary."""
        self._step_line(self._thinning.flush())
        self.close()
        first, *rest = words.summary(summary, self._info, self._last)
        self._line(first)
        for line in rest:
            self._write(line)

    def close(self) -> None:
        """Take the bar away, if there is one."""
        if self._bar:
            self._bar.close()

    def _step_line(self, record: StepRecord | None) -> None:
        if record is not None:
            self._last = record
            self._line(words.step(record))

    def _seldom(self, sort: str, text: str, interval: float) -> None:
        """Print a line, unless one of its sort was printed within the interval, in seconds."""
        now = self._clock()
        if not self._quiet and now >= self._due.get(sort, -math.inf):
            self._due[sort] = now + interval
            self._line(text)

    def _line(self, text: str) -> None:
        """A line of the log, with the local time; on a terminal without it."""
        self._write(text if self._terminal else f"{time.strftime('%Y-%m-%dT%H:%M:%S')} {text}")

    def _write(self, text: str) -> None:
        if self._bar:
            self._bar.print(text)
            return
        with contextlib.suppress(DistnnError):  # a full disk ends the output, not the run
            show(text, self._stream)
