"""Recurrent networks: which of them remember, how far back their derivatives reach, and one that learns a poem."""

import sys
from pathlib import Path

import lecture
import matplotlib.pyplot as plt
import numpy as np

from distnn import fit, graph
from distnn.data import write_data
from distnn.graph import Plan
from distnn.layers import GRU, LSTM, Dense, Sequential, SimpleRNN
from distnn.models import Model
from distnn.optim import Adam

figures, work = lecture.folders()
STEPS, LETTERS, EPOCHS = 40, "abcd", 6
CELLS = {SimpleRNN: "s--", GRU: "o-", LSTM: "^-."}


def sequences(count, seed):
    """Forty random letters, one of which is marked; the class is the marked letter.

    x (N, 40, 5): a 1 for the letter among a, b, c, d, and in the fifth place a 1 where the mark is.
    """
    random = np.random.default_rng(seed)
    letters, mark = random.integers(0, 4, (count, STEPS)), random.integers(0, STEPS, count)
    x = np.zeros((count, STEPS, 5), np.float32)
    x[..., :4] = np.eye(4)[letters]
    x[np.arange(count), mark, 4] = 1
    return x, letters[np.arange(count), mark]


def network(cell):
    """One recurrent layer of 16 neurons, whose last output is classified."""
    return Sequential(cell(16, last=True), Dense(4))


def reach(model, parameters, x):
    """How much the outputs change with the input of each step: mean |∂(sum of all logits²)/∂x[t]|, (40,)."""
    J = graph.sum(model.output**2)
    plan = Plan({"J": J}, batch=len(x), loss=J, parameters=parameters, wrt=[model.x])
    plan.value["x"][...] = x
    plan.forward()
    plan.backward()
    return np.abs(plan.gradient["x"]).mean(axis=(0, 2))


x, y = sequences(3000, seed=0)
unseen = sequences(1000, seed=1)
splits = {"train": (x, y), "validation": unseen}
data = write_data(work / "letters.h5", splits, task="classification", classes=list(LETTERS))
early = unseen[0][unseen[0][:, :4, 4].any(axis=1)]  # marked in one of the first four steps: the longest way back

figure, (left, right) = plt.subplots(1, 2, figsize=(9.5, 3.8))
final, kept = {}, {}
for cell, marker in CELLS.items():
    first = Model(network(cell), (STEPS, 5), task="classification", classes=LETTERS)
    before = reach(first, first.initialize(seed=0), early)
    trained = fit(
        network(cell),
        data,
        out=work / cell.__name__,
        epochs=EPOCHS,
        batch_size=32,
        optimizer=Adam(learning_rate=0.01),
        train={"clip_norm": 1.0},
        checkpoint={"every_epochs": 0},
    )
    after = reach(trained.model, trained.parameters, early)
    records = lecture.metrics(work / cell.__name__, "evaluation")
    accuracy = {r["epoch"]: r["accuracy"] for r in records if r["split"] == "validation"}
    final[cell], kept[cell] = accuracy[EPOCHS], after[:4].mean() / after.max()
    print(
        f"{cell.__name__:>9}: {trained.parameters.count:>4} parameters, accuracy {final[cell]:.3f}; derivative at the "
        f"mark: {before[:4].mean() / before.max():.0e} of the largest before training, {kept[cell]:.0e} after"
    )
    left.plot(list(accuracy), list(accuracy.values()), marker, label=cell.__name__)
    right.semilogy(np.arange(STEPS - 1, -1, -1), after / after.max(), marker, markersize=3, label=cell.__name__)
assert min(final[GRU], final[LSTM]) > 0.99 and final[SimpleRNN] < 0.5
assert min(kept[GRU], kept[LSTM]) > 0.01 > 1e-4 > kept[SimpleRNN]
left.axhline(0.25, color=lecture.GREY, linestyle=":", label="guessing")
left.set(xlabel="epochs", ylabel="accuracy on new sequences", ylim=(0, 1.02), title="what was the marked letter?")
left.legend(loc="center right")
right.axvspan(STEPS - 4, STEPS - 1, color=lecture.GREY, alpha=0.25, linewidth=0)
right.annotate("the mark", (STEPS - 4.5, 1), ha="right", va="center")
right.set(xlabel="steps back from the end", ylabel="derivative, the largest = 1", title="how far back it reaches")
right.legend(loc="lower left")
lecture.save(figure, figures / "15_recurrent.svg")

# --- a language model: it reads a poem character by character, and learns which comes next
poem = Path(__file__).with_name("jabberwocky.txt")
RUN = """\
[model]
kind = "char-lstm"
embedding = 16
hidden = [64]

[data]
path = "poem.h5"
batch_size = 4            # four places of the poem are read side by side …
streams = true            # … and each step goes on where the last one stopped

[train]
epochs = 36
clip_norm = 1.0

[optimizer]
kind = "adam"
learning_rate = 0.01

[schedule]
kind = "cosine"

[checkpoint]
every_epochs = 12
keep = 3
"""
(work / "run.toml").write_text(RUN)
distnn = [sys.executable, "-m", "distnn"]
whole = ["--length", "32", "--validation", "0", "--test", "0"]
lecture.shell(work, *distnn, "data", "text", str(poem), "-o", "poem.h5", *whole)
lecture.shell(work, *distnn, "train", "run.toml", "--out", "poem", "--quiet")
for number, saved in enumerate(sorted((work / "poem" / "checkpoints").glob("step-*.h5")), 1):
    written = lecture.shell(
        work, *distnn, "sample", str(saved), "--prompt", "'Twas", "--length", "125", "--temperature", "0.3"
    )
    print(f"\nafter {12 * number} epochs:\n{written}", end="")
assert number == 3
assert written[:125] == poem.read_text()[:125]
