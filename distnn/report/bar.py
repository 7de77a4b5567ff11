"""The progress bar of a terminal: one bar over all steps of the run."""

from __future__ import annotations

from typing import TextIO

from rich.console import Console as RichConsole
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from distnn.errors import encoded
from distnn.session.records import EvaluationRecord, RunInfo, StepRecord

#: From this width on there is room for the validation scores too.
WIDE = 100


class Bar:
    """Epoch, loss, accuracy, samples/s and the time to go; gone when closed."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._console = RichConsole(file=stream, force_terminal=True)
        self._progress = Progress(
            TextColumn("epoch {task.fields[epoch]}", markup=False),
            BarColumn(bar_width=None),
            TextColumn("{task.fields[status]}", markup=False),
            TextColumn("ETA"),
            TimeRemainingColumn(),
            console=self._console,
            transient=True,
            expand=True,
        )
        self._task = self._progress.add_task("", start=False, visible=False, epoch="", status="")
        self._validation = ""

    def start(self, info: RunInfo) -> None:
        """Show the bar, with what is done already."""
        self._progress.update(
            self._task,
            total=info.epochs * info.steps_per_epoch,
            completed=info.start_step,
            epoch=f"{min(info.start_epoch + 1, info.epochs)}/{info.epochs}",
            visible=True,
        )
        self._progress.start_task(self._task)
        self._progress.start()

    def step(self, record: StepRecord) -> None:
        """Move it on."""
        status = f"loss {record.loss:<#7.4g} "
        if record.bits is not None:
            status += f"{record.bits:.4f} bits "
        elif record.accuracy is not None:
            status += f"acc {record.accuracy:.4f} "
        if self._console.width >= WIDE:
            status += self._validation
        status += f"{record.samples_per_s:,.0f} samples/s"
        self._progress.update(self._task, completed=record.step, epoch=f"{record.epoch}/{record.epochs}", status=status)

    def evaluation(self, record: EvaluationRecord) -> None:
        """Keep the validation scores, to show beside the training's."""
        if record.split == "validation":
            value = f"loss {record.loss:#.4g}" if record.accuracy is None else f"acc {record.accuracy:.4f}"
            value = f"{record.bits:.4f} bits" if record.bits is not None else value
            self._validation = f"validation {value} "

    def print(self, text: str) -> None:
        """A line above the bar."""
        self._console.print(encoded(text, self._stream), markup=False, highlight=False, soft_wrap=True, emoji=False)

    def close(self) -> None:
        """Take the bar away and give the cursor back."""
        self._progress.stop()
