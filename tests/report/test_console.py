"""A run on the console: lines in a log, a bar on a terminal, the summary at the end."""

from __future__ import annotations

import dataclasses
import io
import os
import pty
import re
import select
import subprocess
import sys
from pathlib import Path

import pytest

from distnn.report import words
from distnn.report.console import Console
from distnn.session.records import EvaluationRecord, Listener, RunInfo, StepRecord, Summary
from distnn.train.accumulate import Seconds
from tests.support.listening import scores

STAMP = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d ")
INFO = RunInfo(
    out=Path("runs/digits"),
    model="mlp 64-64-32-10 relu",
    parameters=6570,
    ranks=2,
    hosts=1,
    threads=1,
    threads_reason="2 cores for 2 ranks on the node",
    samples=1438,
    batch_size=64,
    epochs=2,
    steps_per_epoch=4,
    data=Path("data/digits.h5"),
    blas="openblas 0.3.30 (Haswell)",
    kernels=("batch_norm", "updates"),
    held_out={"validation": 1179, "test": 180},
    loss="cross_entropy in nats",
)
VALIDATION = EvaluationRecord("validation", 2, 8, scores(179, 0.25, 0.95), 0.01)
TEST = EvaluationRecord("test", 2, 8, scores(180, 0.1, 29 / 30), 0.01)
SUMMARY = Summary(
    reason="finished 2 epochs",
    complete=True,
    epoch=2,
    step=8,
    seconds=200.0,
    spent=Seconds(150.0, 30.0, 10.0),
    other_s=10.0,
    samples_per_s=43210.4,
    train=None,
    validation=VALIDATION,
    test=TEST,
    best=0.2412345,
    best_step=4,
    checkpoint=Path("runs/digits/checkpoints/step-00000008.h5"),
    out=Path("runs/digits"),
    fingerprint="9f86d081",
)


class Clock:
    """A clock that goes on by hand."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def step(number: int) -> StepRecord:
    epoch, batch = divmod(number - 1, 4)
    spent = Seconds(0.3, 0.1, 0.1)
    return StepRecord(epoch + 1, 2, number, batch + 1, 4, scores(64, 1 / number, 0.5), 0.1, 43210.4, spent, 2)


def run(listener: Listener, clock: Clock | None = None) -> None:
    """Two epochs of four steps, a second each."""
    listener.started(INFO)
    for number in range(1, 9):
        if clock:
            clock.now += 1
        listener.stepped(step(number))
        if number % 4 == 0:
            listener.evaluated(VALIDATION)
            listener.saved(Path(f"step-{number}.h5"), number)
    listener.warned("rank 1 [n\x41me] is slow")
    listener.finished(SUMMARY)
    listener.close()


def unstamped(line: str) -> str:
    return STAMP.sub("", line)


def log(interval: float, **options: bool) -> list[str]:
    """The lines of a log of `run`."""
    stream, clock = io.StringIO(), Clock()
    run(Console(stream, interval, clock=clock, **options), clock)
    return stream.getvalue().splitlines()


def test_a_log_has_stamped_lines_and_nothing_else() -> None:
    text = log(0)
    assert not re.search(r"[\r\x1b]", "\n".join(text))
    stamped = [line for line in text if STAMP.match(line)]
    assert text[: len(stamped)] == stamped, "all but the summary's details carry the time"
    assert all(line.startswith("  ") for line in text[len(stamped) :])


def test_all_lines_of_a_log_without_an_interval() -> None:
    assert [*map(unstamped, log(0))] == [
        "distnn 0.1.0: mlp 64-64-32-10 relu, 6,570 parameters",
        "2 ranks on 1 host, 1 thread a rank (2 cores for 2 ranks on the node)",
        "matrix products by openblas 0.3.30 (Haswell); compiled kernels: batch_norm, updates",
        "1,438 samples (and 1,179 for validation, 180 for test) of data/digits.h5, batch 64, 2 epochs of 4 steps",
        "loss: cross_entropy in nats, the mean over all targets; best is the lowest validation loss",
        "into runs/digits",
        *(f"{words.step(step(number))}" for number in range(1, 5)),
        "epoch 2  validation  loss 0.250000  accuracy 0.9500",
        "saved step-4.h5 (step 4)",
        *(f"{words.step(step(number))}" for number in range(5, 9)),
        "epoch 2  validation  loss 0.250000  accuracy 0.9500",
        "saved step-8.h5 (step 8)",
        "warning: rank 1 [nAme] is slow",
        "finished 2 epochs: epoch 2, step 8, 3 min 20 s",
        "  validation  loss 0.250000  accuracy 0.9500  (179 samples)",
        "  test        loss 0.100000  accuracy 0.9667  (180 samples)",
        "  best        validation loss 0.241234 at step 4",
        "  time        compute 2 min 30 s (75 %), communication 30.00 s (15 %), data 10.00 s (5 %), "
        "other 10.00 s (5 %)",
        "  speed       43,210 samples/s",
        "  checkpoint  runs/digits/checkpoints/step-00000008.h5",
        "  metrics     runs/digits/metrics.jsonl",
        "  parameters  fingerprint 9f86d081",
        "  next        distnn evaluate runs/digits data/digits.h5",
        "              distnn predict runs/digits data/digits.h5 -o predictions.h5",
    ]


def test_the_words_of_a_step() -> None:
    assert words.step(step(6)) == (
        "epoch 2/2  step 6 (2/4)  loss 0.166667  accuracy 0.5000  learning rate 0.1  43,210 samples/s  "
        "compute 60 %, communication 20 %, data 20 %"
    )
    assert "accuracy" not in words.step(dataclasses.replace(step(6), sums=scores(64, 1.0)))
    assert "loss nan" in words.step(dataclasses.replace(step(6), sums=scores(64, float("nan")), spent=Seconds()))


def test_a_log_has_one_line_of_each_sort_in_an_interval() -> None:
    lines = [*map(unstamped, log(3))]
    assert [line.split("  ")[1] for line in lines if line.startswith("epoch") and "validation" not in line] == [
        *("step 3 (3/4)", "step 6 (2/4)", "step 8 (4/4)"),
    ]
    joined = next(line for line in lines if "step 3 " in line)
    assert f"loss {(1 + 1 / 2 + 1 / 3) / 3:.6g}" in joined, "the mean of the steps since the last line"
    assert f"loss {(1 / 5 + 1 / 6) / 2:.6g}" in next(line for line in lines if "step 6 " in line), "of this epoch only"
    assert sum(line.startswith("saved") for line in map(unstamped, log(100))) == 1


def test_each_epochs_scores_are_a_line_unless_epochs_are_very_short() -> None:
    lines = [*map(unstamped, log(100))]
    assert sum("validation  loss 0.250000" in line for line in lines) == 2 + 1, "two epochs, and the summary"
    stream, clock = io.StringIO(), Clock()
    console = Console(stream, clock=clock)
    for place in range(10):
        clock.now = place / 4
        console.evaluated(dataclasses.replace(VALIDATION, epoch=place, best=place == 4))
    found = [unstamped(line) for line in stream.getvalue().splitlines()]
    assert [line.split()[1] for line in found] == ["0", "4", "8"]
    assert [line.endswith("  best so far") for line in found] == [False, True, False]


def test_quiet_keeps_warnings_and_the_summary() -> None:
    lines = [*map(unstamped, log(0, quiet=True))]
    assert lines[:2] == ["warning: rank 1 [nAme] is slow", "finished 2 epochs: epoch 2, step 8, 3 min 20 s"]


def test_the_header_of_a_resumed_run() -> None:
    info = dataclasses.replace(INFO, start_step=1234, start_epoch=3, data=None, hosts=2, ranks=1, held_out={})
    assert words.header(info)[1:] == [
        "1 rank on 2 hosts, 1 thread a rank (2 cores for 2 ranks on the node)",
        "matrix products by openblas 0.3.30 (Haswell); compiled kernels: batch_norm, updates",
        "1,438 samples, batch 64, 2 epochs of 4 steps, from step 1,234 (epoch 3)",
        "loss: cross_entropy in nats, the mean over all targets; best is the lowest validation loss",
        "into runs/digits",
    ]
    stream = io.StringIO()
    Console(stream).resumed(Path("a/step-00001234.h5"), 1234)
    assert unstamped(stream.getvalue()) == "resuming from a/step-00001234.h5 (step 1,234)\n"


def test_a_summary_of_little() -> None:
    end = dataclasses.replace(
        SUMMARY, validation=None, test=None, best=None, checkpoint=None, fingerprint="", spent=Seconds()
    )
    lines = words.summary(dataclasses.replace(end, other_s=0.0), None, step(3))
    assert lines[1:] == [
        "  last steps  loss 0.333333  accuracy 0.5000",
        "  time        compute 0.00 s (0 %), communication 0.00 s (0 %), data 0.00 s (0 %), other 0.00 s (0 %)",
        "  speed       43,210 samples/s",
        "  metrics     runs/digits/metrics.jsonl",
    ]


def test_the_next_commands_suit_the_run() -> None:
    end = dataclasses.replace(SUMMARY, complete=False, test=None, out=Path("my runs/a"))
    commands = [line[14:] for line in words.summary(end, None, None)[-3:]]
    assert commands == [
        "distnn train 'my runs/a/run.toml' --resume 'my runs/a'",
        "distnn evaluate 'my runs/a' DATA.h5 --split validation",
        "distnn predict 'my runs/a' DATA.h5 -o predictions.h5 --split validation",
    ]


@pytest.mark.parametrize("loss", [1.0, 0.1, 1e-9, 123456.7, 2.302585092994046])
def test_losses_have_six_digits(loss: float) -> None:
    digits = words.scores(loss, None).removeprefix("loss ").split("e")[0].replace(".", "").lstrip("0")
    assert len(digits) == 6


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.004, "0.00 s"), (99.99, "99.99 s"), (99.999, "1 min 40 s"), (5999, "99 min 59 s"), (9000, "2 h 30 min")],
)
def test_durations(seconds: float, text: str) -> None:
    assert words.duration(seconds) == text


def test_a_stream_without_the_letters_gets_them_escaped() -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")
    Console(stream).warned("größer")
    assert raw.getvalue().endswith(b"warning: gr\\xf6\\xdfer\n")


def test_a_stream_that_breaks_doesnt_end_the_run() -> None:
    """``distnn train … | head -1``: the run goes on to its end, and exits as it would have."""
    code = (
        "from tests.report.test_console import *\n"
        "import time\n"
        "console = Console(log_interval=0)\n"
        "console.started(INFO); time.sleep(0.5); run(console)\n"
        "print('the end', file=sys.stderr)"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=REPOSITORY
    )
    assert process.stdout is not None and process.stderr is not None
    process.stdout.readline()
    process.stdout.close()
    assert process.stderr.read() == "the end\n"
    assert process.wait(30) == 0


REPOSITORY = Path(__file__).parents[2]
DEMO = """
import sys, time
from tests.report.test_console import *
console = Console()
console.started(INFO)
for number in range(1, 9):
    console.stepped(step(number))
    console.evaluated(VALIDATION)
    time.sleep(0.15)
    if number == 5:
        console.warned("[a] long line: " + "word " * 30)
console.{end}
"""


def on_a_terminal(code: str, columns: int = 80, **environment: str) -> str:
    """What a Python program writes to a pseudo-terminal."""
    main, side = pty.openpty()
    env = {**os.environ, "TERM": "xterm", "COLUMNS": str(columns), "PYTHONPATH": str(REPOSITORY), **environment}
    process = subprocess.Popen([sys.executable, "-c", code], stdin=side, stdout=side, stderr=side, env=env)
    os.close(side)
    received = b""
    while select.select([main], [], [], 30)[0]:
        try:
            received += os.read(main, 65536)
        except OSError:  # how Linux says that the other side is closed
            break
    os.close(main)
    assert process.wait(30) == 0, received.decode()
    return received.decode()


def test_a_terminal_gets_a_bar_and_then_the_summary() -> None:
    text = on_a_terminal(DEMO.format(end="finished(SUMMARY)"))
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)
    bars = [line for line in re.split(r"[\r\n]+", plain) if "ETA" in line]
    assert any(
        re.search(r"^epoch 1/2 \S+ loss 0\.5000  acc 0\.5000 43,210 samples/s ETA [\d:-]+$", bar) for bar in bars
    )
    assert any(bar.startswith("epoch 2/2") for bar in bars)
    assert all(len(bar) <= 80 for bar in bars), "one line, or it would leave traces"
    lines = re.split(r"[\r\n]+", plain[: plain.index("finished")])
    assert "epoch 2  validation  loss 0.250000  accuracy 0.9500" in lines, "above the bar"
    warning = "warning: [a] long line: " + "word " * 29
    assert any(line.startswith(warning) for line in re.split(r"[\r\n]+", plain)), (
        "above the bar, unbroken, brackets and all"
    )
    tail = plain[plain.rindex("ETA") :]
    assert "finished 2 epochs: epoch 2, step 8, 3 min 20 s\r\n  validation  loss 0.250000" in tail
    assert text.rindex("\x1b[2K") < text.index("finished 2 epochs"), "the bar is wiped away first"
    assert text.count("\x1b[?25l") == text.count("\x1b[?25h") == 1, "the cursor is back"


def test_a_run_that_fails_gives_the_terminal_back() -> None:
    text = on_a_terminal(DEMO.format(end="close(); console.close(); print('failed')"))
    assert text.rstrip().endswith("failed")
    assert text.count("\x1b[?25l") == text.count("\x1b[?25h") == 1


def test_a_wide_terminal_shows_the_validation_too() -> None:
    assert "validation acc 0.9500 43,210 samples/s" in on_a_terminal(DEMO.format(end="finished(SUMMARY)"), columns=120)


def test_a_dumb_terminal_gets_lines() -> None:
    text = on_a_terminal(DEMO.format(end="finished(SUMMARY)"), TERM="dumb")
    assert "\x1b" not in text
    assert STAMP.match(text)


def test_a_log_needs_no_rich() -> None:
    code = "import sys; import distnn.report.console as c; c.Console(); sys.exit('rich' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, check=True)
