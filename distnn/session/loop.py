"""The loop: epochs of steps, what is measured between them, and when it is enough."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from distnn.errors import DistnnError
from distnn.optim import Schedule
from distnn.parallel.world import World
from distnn.session.progress import Progress
from distnn.session.records import EvaluationRecord, Listener, StepRecord, Summary
from distnn.session.saving import Saver
from distnn.session.window import Window
from distnn.supervision.guard import StopSignals
from distnn.train.diagnosis import diagnose
from distnn.train.evaluate import Evaluator, bits
from distnn.train.step import Step

if TYPE_CHECKING:
    from distnn.config import RunSettings


#: So many steps in a row are skipped at most: more won't make the parameters good again.
SKIPS = 10


class Loop:
    """Trains until the epochs are done, the user is happy, or the time is up.

    Arguments:
        settings: the run file.
        step: the bound training step.
        evaluators: by split.
        schedule: step → factor of the learning rate.
        saver: of checkpoints.
        progress: where to begin; changed as the run goes on.
        world: the ranks.
        listener: hears of everything, on rank 0; None elsewhere.
        max_time: seconds after which to stop with a checkpoint; None for no limit.
        out: the run's folder.
    """

    def __init__(
        self,
        settings: RunSettings,
        step: Step,
        evaluators: Mapping[str, Evaluator],
        schedule: Schedule,
        saver: Saver,
        progress: Progress,
        world: World,
        listener: Listener | None,
        max_time: float | None,
        out: Path,
    ) -> None:
        self.settings, self.step, self.evaluators, self.schedule = settings, step, evaluators, schedule
        self.saver, self.progress, self.world, self.out = saver, progress, world, out
        self.listener = listener or Listener()
        self.max_time = max_time
        self.records: dict[str, EvaluationRecord] = {}
        self.samples = 0
        self._skipped, self._last_skipped = 0, 0
        self._ending: Progress | None = None

    @property
    def position(self) -> Progress:
        """Where this rank stands, in terms of the steps that are done: an epoch's end is done again, or not at all."""
        return self._ending or self.progress

    def run(self, signals: StopSignals) -> Summary:
        """Train, and say how it ended.

        Raises:
            DistnnError: if the loss becomes infinite or NaN, or the ranks' parameters differ.
            CheckpointError: if the last save failed, or any where the run is to stop then.
        """
        self._began = self._origin = time.perf_counter()
        train, progress = self.settings.train, self.progress
        wished = train.target_loss is not None or train.target_accuracy is not None
        if wished and progress.epoch and not progress.window and "validation" in self.evaluators:
            self._evaluate("validation")  # the target may have been reached before this run was resumed
        reason = self._reason_to_end()
        while reason is None:
            early = self._epoch(signals)
            if early:
                self.world.heartbeat.beat("the last checkpoint")
                self.saver.save(self.progress)
                self.saver.finish()
                return self._summary(early, complete=False)
            self._end_epoch()
            reason = self._reason_to_end()
        self.saver.save(self.progress)
        if "test" in self.evaluators:
            self._evaluate("test")
        self.world.heartbeat.beat("the last checkpoint")
        self.saver.finish()
        return self._summary(reason, complete=True)

    def _epoch(self, signals: StopSignals) -> str | None:
        """The rest of the epoch's steps; returns why it was left early, or None."""
        step, progress, settings = self.step, self.progress, self.settings
        every = settings.parallel.check_steps
        step.loader.begin(progress.seed, progress.epoch)
        self._totals, self._recent = Window(step, progress.sums), Window(step)
        while progress.window < step.windows:
            rate = settings.optimizer.learning_rate * self.schedule(progress.step)
            stop = bool(signals.received) or self._time_is_up() or self.saver.failed
            step.run(progress.window, rate, stop, number=progress.step, save=self.saver.overdue)
            if step.bad:
                self._not_finite(rate)
            progress.step += 1
            progress.window += 1
            self._count(rate)
            if every and progress.step % every == 0:
                step.reduction.check()
            self.saver.after_step(progress)
            if step.stop:
                return self._why_early(signals)
        return None

    def _time_is_up(self) -> bool:
        return self.max_time is not None and self.world.comm.root and time.perf_counter() - self._began > self.max_time

    def _why_early(self, signals: StopSignals) -> str:
        if signals.received:
            return f"stopped by {signals.received}"
        if self._time_is_up():
            return f"stopped after --max-time ({self.max_time:.0f} s)"
        return "stopped by a signal to another rank"

    def _not_finite(self, rate: float) -> None:
        """Say where the number came from that isn't finite; skip the step, or end the run.

        Raises:
            DistnnError: if the run is not to skip it, or has just skipped many.
        """
        step, number, settings = self.step, self.progress.step + 1, self.settings
        what = f"{'a gradient' if math.isfinite(step.loss) else 'the loss'} is infinite or NaN"
        step.carried.rewind()
        found = diagnose(step, self.progress.window)
        what += f" at step {number} (epoch {self.progress.epoch + 1}, learning rate {rate:g})"
        what += f", first made by {found}" if found else ""
        self._skipped = self._skipped + 1 if number == self._last_skipped + 1 else 1
        self._last_skipped = number
        if settings.train.on_nan == "skip" and self._skipped <= SKIPS:
            self.listener.warned(f"{what}: this step updates nothing.")
            return
        self.saver.wait()
        many = f", as in the {SKIPS} steps before it" if settings.train.on_nan == "skip" else ""
        raise DistnnError(
            f"{what}{many}: the training diverged. The parameters were not updated with it; a lower learning_rate, a "
            f"warm-up (schedule.warmup_steps) or train.clip_norm usually helps. "
            f"The last checkpoint is {self.saver.latest or 'none yet'}."
        )

    def _count(self, rate: float) -> None:
        self.samples += self.step.samples
        if not self.step.bad:
            self._totals.add()
            self._recent.add()
        now = time.perf_counter()
        ended = self.progress.window == self.step.windows
        if ended or now - self._recent.since >= self.listener.interval:
            self.listener.stepped(self._record(rate, now))
            self._recent.empty()

    def _record(self, rate: float, now: float) -> StepRecord:
        recent, progress = self._recent, self.progress
        compute, comm, data = recent.spent
        return StepRecord(
            epoch=progress.epoch + 1,
            epochs=self.settings.train.epochs,
            step=progress.step,
            batch=progress.window,
            batches=self.step.windows,
            loss=recent.loss,
            accuracy=recent.accuracy,
            learning_rate=rate,
            samples_per_s=recent.samples / max(now - recent.since, 1e-9),
            compute_s=compute,
            comm_s=comm,
            data_s=data,
            ranks=self.world.comm.size,
            bits=bits(self.step.model, recent.loss),
        )

    def _end_epoch(self) -> None:
        """Evaluate, compare the ranks, save."""
        progress, totals = self.progress, self._totals
        self._ending = replace(progress, sums=list(progress.sums))
        progress.epoch += 1
        progress.window = 0
        if totals.samples:
            seconds = time.perf_counter() - totals.since
            self._tell("train", totals.samples, totals.loss, totals.accuracy, seconds)
        totals.empty()
        if "validation" in self.evaluators:
            self._evaluate("validation")
        watched = self.records.get("validation") or self.records.get("train")
        best = watched is not None and (progress.best is None or watched.loss < progress.best)
        progress.stale = 0 if best else progress.stale + 1
        if best and watched is not None:
            progress.best, progress.best_step = watched.loss, progress.step
        self._mark_time()
        self.step.reduction.check()
        self.saver.after_epoch(progress, best)
        self._ending = None

    def _mark_time(self) -> None:
        now = time.perf_counter()
        self.progress.seconds += now - self._origin
        self._origin = now

    def _evaluate(self, split: str) -> None:
        start = time.perf_counter()
        result = self.evaluators[split].run()
        if self.step.timeline:
            self.step.timeline.add(f"evaluate {split}", start, time.perf_counter())
        self._tell(split, result.samples, result.loss, result.accuracy, result.seconds)

    def _tell(self, split: str, samples: int, loss: float, accuracy: float | None, seconds: float) -> None:
        progress, in_bits = self.progress, bits(self.step.model, loss)
        record = EvaluationRecord(split, progress.epoch, progress.step, samples, loss, accuracy, seconds, in_bits)
        self.records[split] = record
        self.listener.evaluated(record)

    def _reason_to_end(self) -> str | None:
        """Why no further epoch is due, or None."""
        train, progress = self.settings.train, self.progress
        watched = self.records.get("validation") or self.records.get("train")
        if watched and train.target_loss is not None and watched.loss <= train.target_loss:
            return f"the {watched.split} loss reached the target {train.target_loss:g}"
        if watched and train.target_accuracy is not None and (watched.accuracy or 0) >= train.target_accuracy:
            return f"the {watched.split} accuracy reached the target {train.target_accuracy:g}"
        if train.patience is not None and progress.stale >= train.patience:
            return f"no better loss for {progress.stale} epochs"
        if progress.epoch >= train.epochs:
            return f"finished {progress.epoch} epoch{'s' if progress.epoch != 1 else ''}"
        return None

    def _summary(self, reason: str, *, complete: bool) -> Summary:
        self._mark_time()
        seconds = self._origin - self._began
        step, progress = self.step, self.progress
        spent = step.compute_s + step.comm_s + step.data_s
        return Summary(
            reason=reason,
            complete=complete,
            epoch=progress.epoch,
            step=progress.step,
            seconds=seconds,
            compute_s=step.compute_s,
            comm_s=step.comm_s,
            data_s=step.data_s,
            other_s=max(0.0, seconds - spent),
            samples_per_s=self.samples / seconds if seconds else 0.0,
            train=self.records.get("train"),
            validation=self.records.get("validation"),
            test=self.records.get("test"),
            best=progress.best,
            best_step=progress.best_step,
            checkpoint=self.saver.latest,
            out=self.out,
            fingerprint=step.reduction.check(),
        )
