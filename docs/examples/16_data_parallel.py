"""Data-parallel training: who computes which samples, what is summed, the same bits, and a timeline of a real run."""

import json
import sys
import tomllib

import lecture
import matplotlib.pyplot as plt
import numpy as np
from lecture_drawing import Sketch
from matplotlib.patches import Patch

from distnn import checkpoint, fit, graph
from distnn.data.partition import Range, micro_shards
from distnn.layers import Dense, Flatten, Sequential

figures, work = lecture.folders()
RUN = """\
[model]
kind = "mlp"
hidden = [256, 256]

[data]
path = "digits.h5"
batch_size = 192          # of all ranks together

[train]
epochs = 4

[optimizer]
learning_rate = 0.05
momentum = 0.9

[parallel]
shards = 12               # each batch is cut into twelve shards, on any number of ranks

[log]
interval = 0              # a line in metrics.jsonl for each step
"""
COLOURS = (lecture.BLUE, lecture.ORANGE, lecture.GREEN, lecture.PURPLE)
PARTS = {"data": lecture.GREY, "forward": lecture.BLUE, "backward": lecture.RED}
PARTS |= {"reduce": lecture.GREEN, "update": lecture.ORANGE}

lecture.digits(work)
(work / "run.toml").write_text(RUN)


def everything(parameters):
    """All weights in one vector."""
    return np.concatenate([parameters[name].ravel() for name in sorted(parameters)])


def alone(out, **parallel):
    """Train in this process, and return all weights at the end."""
    settings = tomllib.loads(RUN)
    network = Sequential(Flatten(), Dense(256, "relu"), Dense(256, "relu"), Dense(10))
    common = {"optimizer": settings["optimizer"], "log": settings["log"]}
    parallel |= settings["parallel"]
    trained = fit(network, work / "digits.h5", out=work / out, epochs=4, batch_size=192, parallel=parallel, **common)
    return everything(trained.parameters.value)


def together(ranks, out, *more):
    """Train on several ranks, and return all weights at the end."""
    command = [sys.executable, "-m", "distnn", "train", "run.toml", "--out", out, "--quiet", *more]
    lecture.shell(work, "mpiexec", "-n", str(ranks), *command)
    saved = checkpoint.load(checkpoint.resolve(work / out))
    return everything(saved.parameters)


# --- by hand: one step for one weight, on one, two and four ranks
weight, rate = graph.input("w"), 0.04
x, t = (1, 2, 3, 1, 2, 3, 1, 2), (3, 3, 8, 2, 5, 7, 0, 6)
each = [graph.evaluate((weight * x_n - t_n) ** 2, w=1).gradient["w"] for x_n, t_n in zip(x, t, strict=True)]
holds = {}
for ranks in (1, 2, 4):
    shards = [[shard.positions for shard in micro_shards(Range(0, 8), 4, ranks, rank)] for rank in range(ranks)]
    holds[ranks] = [(own[0].start, own[-1].stop) for own in shards]
    sums = [sum(each[start:stop]) for start, stop in holds[ranks]]
    print(f"{ranks} ranks: sums {', '.join(f'{own:g}' for own in sums)}; w = {1 - rate * sum(sums) / 8:.2f}")
lecture.record(figures / "16_ranks.json", {"w": 1, "rate": rate, "gradients": each, "ranks": holds})

# --- one rank and three, added up in floating point
one, three = alone("one"), together(3, "three")
losses = {name: [record["loss"] for record in lecture.metrics(work / name, "train")] for name in ("one", "three")}
apart = np.abs(one - three).max() / np.abs(one).max()
print(f"1 rank, last loss {losses['one'][-1]:.6f}; 3 ranks, {losses['three'][-1]:.6f}; weights apart by {apart:.0e}")

# --- one rank and two, added up as integers; two also write their timeline
exact = "--set", "parallel.reproducible=true", "--set", "log.trace=true"
single, pair = alone("single", reproducible=True), together(2, "pair", *exact)
print(f"reproducible, 1 and 2 ranks: weights apart by {np.abs(single - pair).max():.0e}")

# --- why: rounding depends on the order, integers don't
a, b, c = np.float32(1), np.float32(2.0**-24), np.float32(2.0**-24)
print(f"floats:   (a + b) + c = {(a + b) + c:.9f}, a + (b + c) = {a + (b + c):.9f}")
A, B, C = (int(np.rint(float(number) * 2**30)) for number in (a, b, c))
print(f"integers: ({A} + {B}) + {C} = {(A + B) + C}, {A} + ({B} + {C}) = {A + (B + C)}")

# --- what is summed: a number for each weight, however many samples there are
count = len(one)
print(f"{count} weights: gradient {4 * count / 1e3:.0f} kB in float32, {8 * count / 1e3:.0f} kB as 64-bit integers")
for ranks in (2, 4, 128):
    print(f"{ranks:>4} ranks: each sends {2 * (ranks - 1) / ranks * 4 * count / 1e3:.0f} kB a step")

# --- drawn: who computes what
sketch = Sketch(4.5, 2.9)
for rank in range(3):
    y = 2.5 - 0.9 * rank
    sketch.box(f"r{rank}", 0.85, y, f"rank {rank}: samples\n{64 * rank} … {64 * rank + 63}", COLOURS[rank], 1.5, 0.55)
    sketch.box(f"g{rank}", 2.45, y, f"$g_{rank}$", COLOURS[rank], 0.5)
    sketch.box(f"w{rank}", 4.1, y, "$w$", "black", 0.5)
    sketch.arrow(f"r{rank}", f"g{rank}", colour=COLOURS[rank])
sketch.circle("sum", 3.3, 1.6, r"$\Sigma$")
for rank in range(3):
    sketch.arrow(f"g{rank}", "sum", colour=COLOURS[rank])
    sketch.arrow("sum", f"w{rank}")
lecture.save(sketch.figure, figures / "16_ranks.svg")

figure, axes = plt.subplots(figsize=(4.5, 2.6))
for ranks in (1, 2, 3, 4):  # one batch: a bar for each shard, in the colour of its rank
    for rank in range(ranks):
        starts = [shard.positions.start for shard in micro_shards(Range(0, 192), 12, ranks, rank)]
        label = f"rank {rank}" if ranks == 4 else None
        axes.barh([str(ranks)] * len(starts), 15, left=starts, align="center", color=COLOURS[rank], label=label)
axes.set(xlabel="sample of the batch", ylabel="ranks", xticks=range(0, 193, 48))
axes.invert_yaxis()
figure.legend(loc="outside upper center", ncols=4, handlelength=1, columnspacing=1)
lecture.save(figure, figures / "16_samples.svg")

figure, axes = plt.subplots(figsize=(4.5, 2.6))
axes.plot(losses["one"], color=lecture.BLUE, linewidth=6, alpha=0.4, label="1 rank")
axes.plot(losses["three"], color=lecture.RED, linewidth=1.5, label="3 ranks")
axes.set(xlabel="step", ylabel="training loss")
axes.legend()
lecture.save(figure, figures / "16_losses.svg")

# --- the timeline: the quickest step of the pair's run
trace = json.loads((work / "pair" / "trace.json").read_text())["traceEvents"]
steps = {}  # by the step's number, the events of both ranks
for rank in range(2):
    step = 0
    for event in sorted((e for e in trace if e["pid"] == rank and e["name"] in PARTS), key=lambda e: e["ts"]):
        steps.setdefault(step, []).append(event)
        step += event["name"] == "update"


def span(events):
    """When the first event begins and the last one ends."""
    return min(event["ts"] for event in events), max(event["ts"] + event["dur"] for event in events)


quickest = min(steps.values(), key=lambda events: np.subtract(*reversed(span(events))) if len(events) > 30 else np.inf)
begin, end = span(quickest)
figure, axes = plt.subplots(figsize=(4.6, 2))
for event in quickest:
    left, width = (event["ts"] - begin) / 1000, event["dur"] / 1000
    axes.barh(event["pid"], width, left=left, color=PARTS[event["name"]], height=0.6)
axes.set(xlabel="milliseconds", yticks=[0, 1], yticklabels=["rank 0", "rank 1"])
axes.invert_yaxis()
handles = [Patch(color=colour, label=name) for name, colour in PARTS.items()]
figure.legend(handles=handles, loc="outside upper center", ncols=5, handlelength=0.8, columnspacing=0.8)
lecture.save(figure, figures / "16_timeline.svg")

lecture.claim(apart < 1e-5, f"the weights of 1 and 3 ranks agree up to rounding; they are apart by {apart:.0e}")
lecture.claim(single.tobytes() == pair.tobytes(), "with reproducible, 1 and 2 ranks have the same bits")
lecture.claim((a + b) + c != a + (b + c) and (A + B) + C == A + (B + C), "floats depend on the order, integers don't")
for rank in range(2):
    names = [event["name"] for event in quickest if event["pid"] == rank]
    whole = names == ["data", "forward", "backward"] * 6 + ["reduce", "update"]
    lecture.claim(whole, f"rank {rank} computes its six shards, then reduces, then updates: {names}")
