"""The loop: epochs of steps, what is measured between them, and when it is enough."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from distnn.errors import DataError, DistnnError
from distnn.metrics import Value
from distnn.parallel.fingerprints import agreed_fingerprint
from distnn.session.build import Run
from distnn.session.progress import Progress, Window
from distnn.session.records import EvaluationRecord, Listener, StepRecord, Summary
from distnn.session.saving import Saver
from distnn.sums import Sums
from distnn.supervision.guard import StopSignals
from distnn.train.accumulate import Seconds, diagnose
from distnn.train.step import StepResult

#: So many steps in a row are skipped at most: more won't make the parameters good again.
SKIPS = 10


class Loop:
    """Trains until the epochs are done, the user is happy, or the time is up.

    Arguments:
        run: what is trained, from its progress on, which changes as the run goes on.
        listener: hears of everything; on rank 0 only, elsewhere nobody listens.
        max_time: seconds after which to stop with a checkpoint; None for no limit.
        began: when these seconds began, by `time.perf_counter`.
    """

    def __init__(self, run: Run, saver: Saver, listener: Listener, max_time: float | None, began: float) -> None:
        self._run, self.settings, self.step = run, run.settings, run.step
        self.progress, self.world = run.progress, run.world
        self.saver, self.listener, self.max_time = saver, listener, max_time
        self._deadline = None if max_time is None else began + max_time
        self.records: dict[str, EvaluationRecord] = {}
        self._samples, self._spent = 0, Seconds()
        self._skipped, self._last_skipped = 0, 0
        self._ending: Progress | None = None

    @property
    def position(self) -> Progress:
        """Where this rank stands, in terms of the steps that are done: an epoch's end is done again, or not at all."""
        return self._ending or self.progress

    @np.errstate(over="ignore", invalid="ignore")  # each step's sums are checked, and said in words
    def run(self, signals: StopSignals) -> Summary:
        """Train, and say how it ended.

        Raises:
            DistnnError: if the loss becomes infinite or NaN, or the ranks' parameters differ.
            CheckpointError: if the last save failed, or any where the run is to stop then.
        """
        self._began = self._origin = time.perf_counter()
        train, progress = self.settings.train, self.progress
        targets = train.target, train.target_loss, train.target_accuracy
        if (
            any(each is not None for each in targets)
            and progress.epoch
            and not progress.window
            and "validation" in self._run.evaluators
        ):
            self._evaluate("validation")  # the target may have been reached before this run was resumed
        early, reason = None, self._reason_to_end()
        while reason is None:
            reason = early = self._epoch(signals)
            if early is None:
                self._end_epoch()
                reason = self._reason_to_end()
        self.world.heartbeat.beat("the last checkpoint")
        self.saver.save(self.progress)
        if early is None and "test" in self._run.evaluators:
            self._evaluate("test")
            self.world.heartbeat.beat("the last checkpoint")
        self.saver.finish()
        return self._summary(reason, complete=early is None)

    def _epoch(self, signals: StopSignals) -> str | None:
        """The rest of the epoch's steps; returns why it was left early, or None."""
        step, progress, settings = self.step, self.progress, self.settings
        every = settings.parallel.check_steps
        step.source.begin(progress.seed, progress.epoch)
        self._totals, self._recent = Window(progress.sums), Window(step.model.layout.zeros())
        while progress.window < step.windows:
            rate = self._run.optimizer.learning_rate * self._run.factor(progress.step)
            stop = bool(signals.received) or self._time_is_up() or self.saver.failed
            result = step.run(
                progress.window,
                rate,
                stop,
                number=progress.step,
                save=self.saver.overdue,
                before_reduction=self.saver.wait_for_copy,
            )
            if result.bad:
                self._not_finite(result, rate)
            progress.step += 1
            progress.window += 1
            self._count(result, rate)
            if every and progress.step % every == 0:
                agreed_fingerprint(self.world.comm, step.parameters)
            self.saver.after_step(progress, wished=bool(result.save))
            if result.stop:
                return self._why_early(signals)
        return None

    def _time_is_up(self) -> bool:
        return self._deadline is not None and self.world.comm.root and time.perf_counter() > self._deadline

    def _why_early(self, signals: StopSignals) -> str:
        if signals.received:
            return f"stopped by {signals.received}"
        if self._time_is_up():
            return f"stopped after --max-time ({self.max_time:.0f} s)"
        return "stopped by a signal to another rank"

    def _not_finite(self, result: StepResult, rate: float) -> None:
        """Say where the number came from that isn't finite; skip the step, or end the run.

        Raises:
            DistnnError: if the run is not to skip it, or has just skipped many.
        """
        step, number, settings = self.step, self.progress.step + 1, self.settings
        what = f"{'a gradient' if math.isfinite(result.sums.loss) else 'the loss'} is infinite or NaN"
        step.carried.rewind()
        cause = diagnose(step.accumulation, self.progress.window)
        what += f" at step {number} (epoch {self.progress.epoch + 1}, learning rate {rate:g})"
        what += f", first made by {cause}" if cause else ""
        self._skipped = self._skipped + 1 if number == self._last_skipped + 1 else 1
        self._last_skipped = number
        if settings.train.on_nan == "skip" and self._skipped <= SKIPS:
            self.listener.warned(f"{what}: this step updates nothing.")
            return
        self.saver.wait()
        many = f", as in the {SKIPS} steps before it" if settings.train.on_nan == "skip" else ""
        latest = self.saver.latest
        raise DistnnError(
            f"{what}{many}: the training diverged. The parameters were not updated with it; a lower learning_rate, a "
            f"warm-up (schedule.warmup_steps) or train.clip_norm usually helps. "
            + (f"The last checkpoint is {latest}." if latest else "No checkpoint has been saved yet.")
        )

    def _count(self, result: StepResult, rate: float) -> None:
        progress, recent = self.progress, self._recent
        self._samples += result.sums.samples
        self._spent += result.spent
        self._totals.add(result)
        recent.add(result)
        now = time.perf_counter()
        due = progress.window == self.step.windows or now - recent.since >= self.listener.interval
        if due and recent.sums.samples:  # steps that were all skipped have no loss to report
            record = StepRecord(
                epoch=progress.epoch + 1,
                epochs=self.settings.train.epochs,
                step=progress.step,
                batch=progress.window,
                batches=self.step.windows,
                sums=recent.sums,
                learning_rate=rate,
                samples_per_s=recent.sums.samples / max(now - recent.since, 1e-9),
                spent=recent.spent,
                ranks=self.world.comm.size,
            )
            self.listener.stepped(record)
            self._recent = Window(self.step.model.layout.zeros())

    def _end_epoch(self) -> None:
        """Evaluate, compare the ranks, save."""
        progress, totals = self.progress, self._totals
        self._ending = replace(progress)
        progress.epoch += 1
        progress.window = 0
        progress.sums = self.step.model.layout.zeros()
        progress.stale += 1
        best = False
        if totals.sums.samples and not totals.sums.weight:
            raise DataError(
                f"{self.settings.data.path}: not one target of train counts, so nothing was learned: masks or weights "
                f"of 0, class weights of 0, or the ignored label leave out all. Correct these."
            )
        if totals.sums.samples:
            best = self._report("train", totals.sums, time.perf_counter() - totals.since, judged=True)
        if "validation" in self._run.evaluators:
            best = self._evaluate("validation", judged=True)
        self._mark_time()
        agreed_fingerprint(self.world.comm, self.step.parameters)
        self.saver.after_epoch(progress, best and self.settings.checkpoint.best)
        self._ending = None

    def _mark_time(self) -> None:
        now = time.perf_counter()
        self.progress.seconds += now - self._origin
        self._origin = now

    def _evaluate(self, split: str, *, judged: bool = False) -> bool:
        start = time.perf_counter()
        evaluator = self._run.evaluators[split]
        sums = evaluator.run()
        stop = time.perf_counter()
        if self.step.timeline:
            self.step.timeline.add(f"evaluate {split}", start, stop)
        return self._report(split, sums, stop - start, evaluator.values, judged=judged)

    def _report(
        self,
        split: str,
        sums: Sums,
        seconds: float,
        metrics: Mapping[str, Value] | None = None,
        *,
        judged: bool = False,
    ) -> bool:
        """Report a split's scores; whether they are the best so far, if they are ``judged``, as at an epoch's end."""
        where, monitor = (split, self.progress.epoch, self.progress.step), self._run.monitor
        record = EvaluationRecord(*where, sums, seconds, metrics or {})
        if judged and split == monitor.split:
            best = monitor.judge(record, self.progress, self.settings.train.min_delta)
            record = replace(record, best=best)
        self.records[split] = record
        self.listener.evaluated(record)
        return record.best

    @property
    def _before_resuming(self) -> float | None:
        """The best value of training that was monitored before the run was resumed; there is no other yet."""
        return self.progress.best if self._run.monitor.split == "train" else None

    def _reason_to_end(self) -> str | None:
        """Why no further epoch is due, or None."""
        train, progress, monitor = self.settings.train, self.progress, self._run.monitor
        watched = self.records.get(monitor.split)
        now = monitor.value(watched) if watched else self._before_resuming
        loss = watched.loss if watched else now if monitor.name == "loss" else None
        accuracy = watched.accuracy if watched else now if monitor.name == "accuracy" else None
        if now is not None and monitor.reached(now, train.target):
            return f"the {monitor} reached the target {train.target:g}"
        if loss is not None and train.target_loss is not None and loss <= train.target_loss:
            return f"the {monitor.split} loss reached the target {train.target_loss:g}"
        if accuracy is not None and train.target_accuracy is not None and accuracy >= train.target_accuracy:
            return f"the {monitor.split} accuracy reached the target {train.target_accuracy:g}"
        if train.patience is not None and progress.stale >= train.patience:
            least = f", by more than {train.min_delta:g}," if train.min_delta else ""
            return f"no better {monitor.name}{least} for {progress.stale} epochs"
        if progress.epoch >= train.epochs:
            return f"finished {progress.epoch} epoch{'s' if progress.epoch != 1 else ''}"
        return None

    def _summary(self, reason: str, *, complete: bool) -> Summary:
        self._mark_time()
        seconds = self._origin - self._began
        step, progress, spent = self.step, self.progress, self._spent
        return Summary(
            reason=reason,
            complete=complete,
            epoch=progress.epoch,
            step=progress.step,
            seconds=seconds,
            spent=spent,
            other_s=max(0.0, seconds - (spent.compute + spent.comm + spent.data)),
            samples_per_s=self._samples / seconds if seconds else 0.0,
            train=self.records.get("train"),
            validation=self.records.get("validation"),
            test=self.records.get("test"),
            best=progress.best,
            best_step=progress.best_step,
            checkpoint=self.saver.latest,
            out=self.saver.folder.parent,
            fingerprint=agreed_fingerprint(self.world.comm, step.parameters),
            best_of=progress.best_of,
        )
