"""Recurrent networks: a cell unrolled; which cells remember, and for how long; and one that learns a poem."""

import sys
from pathlib import Path

import lecture
import matplotlib.pyplot as plt
import numpy as np
from lecture_drawing import Sketch

from distnn import fit, graph
from distnn.data import write_data
from distnn.graph import Plan
from distnn.layers import GRU, LSTM, Dense, Sequential, SimpleRNN
from distnn.models import Model
from distnn.optim import Adam

figures, work = lecture.folders()
STEPS, LETTERS, EPOCHS = 20, "abcd", 4
CELLS = {SimpleRNN: "s--", GRU: "o-", LSTM: "^-."}


def back(model, parameters, x, J):
    """The output for samples x, and ∂J/∂x."""
    plan = Plan({"output": model.output, "J": J}, batch=len(x), loss=J, parameters=parameters, wrt=[model.x])
    plan.value["x"][...] = x
    plan.forward()
    plan.backward()
    return plan.value["output"], plan.gradient["x"]


# --- one neuron that sees its own last output; unrolled, it is four neurons with the same two weights
w, r, shown = 1.0, 0.5, {"x1": 1.0, "x2": 0.0, "x3": 0.0, "x4": 0.0}
state, inputs = 0.0, graph.inputs(" ".join(shown))
for t, x in enumerate(inputs, 1):
    state = graph.tanh(w * x + r * state).named(f"h{t}")
unrolled = graph.evaluate(state, **shown)

model = Model(SimpleRNN(1, last=True), (4, 1), task="regression")
parameters = model.initialize(seed=0)
for name, number in (("weight_input", w), ("weight_recurrent", r), ("bias", 0)):
    parameters.value[f"simplernn1.{name}"][...] = number
layer, slopes = back(model, parameters, np.reshape([*shown.values()], (1, 4, 1)), graph.sum(model.output))
for t in range(1, 5):
    print(f"h{t} = {unrolled[f'h{t}']:.4f}, dh4/dx{t} = {unrolled.gradient[f'x{t}']:.4f}")

sketch = Sketch(1.5, 2.6)
sketch.circle("x", 0.5, 0.6, "$x_t$")
sketch.circle("h", 0.5, 1.6, "$h_t$")
sketch.arrow("x", "h", "$w$", above=0.16)
loop = {"arrowstyle": "-|>", "connectionstyle": "arc3,rad=2.2", "color": lecture.RED, "linewidth": 1.2}
sketch.axes.annotate("", (0.58, 1.82), (0.66, 1.42), arrowprops=loop)
sketch.text(1.22, 1.6, "$r$", lecture.RED)
lecture.save(sketch.figure, figures / "15_feedback.svg")

sketch = Sketch(4.6, 2.6)
for t in range(1, 5):
    place = 0.5 + 1.15 * (t - 1)
    sketch.circle(f"x{t}", place, 0.6, f"$x_{t}$")
    sketch.circle(f"h{t}", place, 1.6, f"$h_{t}$")
    sketch.text(place, 0.2, f"{shown[f'x{t}']:g}", lecture.BLUE)
    sketch.text(place, 2.0, f"{unrolled[f'h{t}']:.3f}", lecture.BLUE)
    sketch.text(place, 2.3, f"{unrolled.gradient[f'h{t}']:.3f}", lecture.RED)
    sketch.arrow(f"x{t}", f"h{t}", "$w$", above=0.16)
    if t > 1:
        sketch.arrow(f"h{t - 1}", f"h{t}", "$r$", colour=lecture.RED, above=0.14)
lecture.save(sketch.figure, figures / "15_unrolled.svg")


# --- a test of memory
def sequences(count, seed):
    """Random letters, one of which is marked; the class is the marked letter.

    x (N, STEPS, 5): a 1 for the letter among a, b, c, d, and in the fifth place a 1 where the mark is.
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


unseen = sequences(500, seed=1)
splits = {"train": sequences(2000, seed=0), "validation": unseen}
data = write_data(work / "letters.h5", splits, task="classification", classes=list(LETTERS))
early = unseen[0][unseen[0][:, :3, 4].any(axis=1)]  # marked in one of the first three steps: the longest way back

figures_of = [plt.subplots(figsize=(4.5, 3.3)) for _ in range(2)]
(_, left), (_, right) = figures_of
final, kept = {}, {}
for cell, style in CELLS.items():
    settings = {"optimizer": Adam(learning_rate=0.02), "train": {"clip_norm": 1.0}, "checkpoint": {"every_epochs": 0}}
    trained = fit(network(cell), data, out=work / cell.__name__, epochs=EPOCHS, batch_size=32, **settings)
    reach = np.abs(back(trained.model, trained.parameters, early, graph.sum(trained.model.output**2))[1]).mean(
        axis=(0, 2)
    )
    records = lecture.metrics(work / cell.__name__, "evaluation")
    accuracy = {r["epoch"]: r["accuracy"] for r in records if r["split"] == "validation"}
    final[cell], kept[cell] = accuracy[EPOCHS], reach[:3].mean() / reach.max()
    print(f"{cell.__name__:>9}: accuracy {final[cell]:.3f}; derivative at the mark {kept[cell]:.0e} of the largest")
    left.plot(list(accuracy), list(accuracy.values()), style, label=cell.__name__)
    right.semilogy(np.arange(STEPS - 1, -1, -1), reach / reach.max(), style, markersize=3, label=cell.__name__)
left.axhline(0.25, color=lecture.GREY, linestyle=":", label="guessing")
left.set(xlabel="epochs", ylabel="accuracy on new sequences", ylim=(0, 1.02), xticks=range(1, EPOCHS + 1))
left.legend()
right.axvspan(STEPS - 3, STEPS - 1, color=lecture.GREY, alpha=0.25, linewidth=0)
right.set(xlabel="steps back from the end; grey: the mark", ylabel="derivative, the largest = 1")
right.legend(loc="lower left")
for name, (figure, _) in zip(("15_accuracy.svg", "15_reach.svg"), figures_of, strict=True):
    lecture.save(figure, figures / name)

# --- a language model: it reads a poem character by character, and learns which comes next
EVERY = 18
poem = Path(lecture.__file__).with_name("jabberwocky.txt")
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
every_epochs = 18
keep = 2
"""
(work / "run.toml").write_text(RUN)
distnn = [sys.executable, "-m", "distnn"]
whole = ["--length", "32", "--validation", "0", "--test", "0"]
lecture.shell(work, *distnn, "data", "text", str(poem), "-o", "poem.h5", *whole)
lecture.shell(work, *distnn, "train", "run.toml", "--out", "poem", "--quiet")
for number, saved in enumerate(sorted((work / "poem" / "checkpoints").glob("step-*.h5")), 1):
    begin = ("--prompt", "'Twas", "--length", "125", "--temperature", "0.3")
    written = lecture.shell(work, *distnn, "sample", str(saved), *begin)
    print(f"\nafter {EVERY * number} epochs:\n{written}", end="")

same = abs(layer.item() - unrolled["h4"]) < 1e-6 and abs(slopes[0, 0, 0] - unrolled.gradient["x1"]) < 1e-6
lecture.claim(same, f"distnn's layer is the unrolled graph: {layer.item():.6f}, {unrolled['h4']:.6f}")
gates = min(final[GRU], final[LSTM])
lecture.claim(gates > 0.98, f"the cells with gates remember the marked letter: {gates:.3f}")
lecture.claim(final[SimpleRNN] < 0.5, f"the simple network does hardly more than guess: {final[SimpleRNN]:.3f}")
gates = min(kept[GRU], kept[LSTM])
lecture.claim(gates > 10 * kept[SimpleRNN], f"their derivatives reach the mark: {gates:.0e}, {kept[SimpleRNN]:.0e}")
lecture.claim(written[:125] == poem.read_text()[:125], f"in the end the poem is known by heart: {written[:125]!r}")
