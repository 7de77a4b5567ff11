"""What the lecture's scripts share: the folder for the figures, small data sets, and plotting.

A script writes its figures to docs/figures, or to a folder given as an argument:

    python docs/examples/02_logistic_regression.py /tmp/figures
"""

import atexit
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

# Set before numpy loads, which reads it once: matrices as small as the lecture's are fastest on one thread.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import LinearSegmentedColormap, to_rgba

from distnn.data import write_data
from distnn.data.convert import digits as shipped
from distnn.graph.node import topological

plt.switch_backend("agg")  # files, no windows
plt.style.use(Path(__file__).with_name("lecture.mplstyle"))
# Told apart by readers who are colour-blind, too: tests/docs/test_figures.py simulates it.
BLUE, RED, GREEN, ORANGE, PURPLE, GREY = "#0d58b5", "#bd1e11", "#1ca787", "#cf7703", "#7a3b69", "#6d798a"
#: Colours for numbers, without a white that would be a box on a dark page: from nothing to black, and from blue by
#: nothing to red.
INK = LinearSegmentedColormap.from_list("ink", [to_rgba("black", 0), to_rgba("black", 1)])
BLUE_RED = LinearSegmentedColormap.from_list(
    "blue_red", [(0, to_rgba(BLUE, 1)), (0.5, to_rgba(BLUE, 0)), (0.5, to_rgba(RED, 0)), (1, to_rgba(RED, 1))]
)
#: The sentences of the claims that didn't hold.
failed = []
#: Each script is a notebook, too.
NOTEBOOK = "ipykernel" in sys.modules


def folders():
    """The folder for the figures, and one for data and runs that is removed when the script ends."""
    if NOTEBOOK:
        figures = Path("figures")
        _show_below(figures)
    else:
        figures = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parents[1] / "figures"
    work = Path(tempfile.mkdtemp(prefix="lecture-"))
    figures.mkdir(parents=True, exist_ok=True)
    atexit.register(shutil.rmtree, work, ignore_errors=True)
    return figures, work


def _show_below(figures):
    """Show each figure below the cell of a notebook that has written it."""
    from IPython import get_ipython
    from IPython.display import SVG, display

    start, shown = time.time(), {}

    def show(*_):
        for path in sorted(figures.glob("*.svg"), key=lambda path: path.stat().st_mtime):
            written = path.stat().st_mtime
            if written > shown.get(path, start):
                shown[path] = written
                display(SVG(path))

    get_ipython().events.register("post_run_cell", show)


def save(figure, path):
    """Write a figure as SVG, without the date and without a background, in colours that a page can replace.

    A style, which a page can't address, becomes attributes: with ``fill="#000000"``, docs/static/site.css finds all
    that shall have the colour of the page's text. matplotlib's rule for all elements would hold for all of the page.
    """
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None})
    plt.close(figure)
    svg = re.sub(r"<defs>\s*<style.*?</style>\s*</defs>", "", buffer.getvalue(), count=1, flags=re.DOTALL)
    svg = svg.replace("<svg ", '<svg fill="#000000" stroke-linejoin="round" stroke-linecap="butt" ', 1)
    svg = re.sub(r'style="([^"]*)"', lambda style: _attributes(style[1]), svg)
    Path(path).write_text(svg, encoding="utf-8")


def _attributes(style):
    """``fill="none" stroke="#000000"`` for ``fill: none; stroke: #000000``."""
    pairs = (pair.split(":", 1) for pair in style.split(";") if pair.strip())
    return " ".join(f'{name.strip()}="{value.strip()}"' for name, value in pairs)


def claim(condition, sentence):
    """If it isn't so, say at the script's end, after all figures, that ``sentence`` no longer holds, and fail.

    A notebook says it below the cell, and goes on.
    """
    if not condition and NOTEBOOK:
        print(f"This no longer holds: {sentence}", file=sys.stderr)
    elif not condition:
        failed.append(sentence)


@atexit.register  # before all others, and so called after them
def _report():
    sys.stdout.flush()
    if failed:
        print("", *(f"This no longer holds: {sentence}" for sentence in failed), sep="\n", file=sys.stderr, flush=True)
        os._exit(1)  # the only way to fail from here


def record(path, numbers):
    """Write what a widget draws from as JSON: a dictionary of numbers, texts, lists, arrays and further dictionaries.

    Numbers keep six significant digits: more than can be seen, few enough to be the same on every machine.
    """

    def plain(value):
        if isinstance(value, dict):
            return {str(key): plain(each) for key, each in value.items()}
        if isinstance(value, np.ndarray | np.generic):
            return plain(value.tolist())
        if isinstance(value, list | tuple | range):
            return [plain(each) for each in value]
        if isinstance(value, float):
            value = float(f"{value:.6g}") + 0.0  # no −0
            return int(value) if value.is_integer() else value
        return value

    path.write_text(json.dumps(plain(numbers), allow_nan=False, separators=(",", ":")) + "\n", encoding="utf-8")


def graph_steps(output, **values):
    """What the widget graph_steps needs: a graph's named sums and products, in order, and its inputs' values."""

    def terms(node, label):
        for each in node.inputs:
            if each.kind == "constant":
                yield float(each.value)
            elif each.name is not None:
                yield each.name
            elif each.op.label == label:  # 2 b c is a product of a product
                yield from terms(each, label)
            else:
                raise ValueError(f"the widget needs a name for {each}: it shows one sum or product for each name")

    nodes = [node for node in topological([output]) if node.op is not None and node.name is not None]
    steps = [{"name": node.name, "op": node.op.label, "of": list(terms(node, node.op.label))} for node in nodes]
    return {"inputs": values, "steps": steps}


def exam(count, seed=0):
    """Hours of study and of sleep before an exam, and who passed: more of both helps, and luck has a share."""
    random = np.random.default_rng(seed)
    x = np.column_stack([random.uniform(0, 10, count), random.uniform(3, 9, count)])
    chance = 1 / (1 + np.exp(-(1.5 * (x[:, 0] - 5) + 1.0 * (x[:, 1] - 6))))
    return x, (random.uniform(size=count) < chance).astype(int)


def clouds(count, seed=0):
    """Two round clouds of points, one of each class."""
    random = np.random.default_rng(seed)
    y = np.arange(count) % 2
    return random.normal(0, 0.45, (count, 2)) + np.where(y[:, None], 0.8, -0.8), y


def xor(count, seed=0):
    """Four clouds in the corners of a square; neighbouring corners have different classes."""
    random = np.random.default_rng(seed)
    corners = random.integers(0, 2, (count, 2))
    return 2.0 * corners - 1 + random.normal(0, 0.25, (count, 2)), corners[:, 0] ^ corners[:, 1]


def moons(count, seed=0):
    """Two half circles that reach into each other, with noise 0.1."""
    random = np.random.default_rng(seed)
    y = np.arange(count) % 2
    angle = random.uniform(0, np.pi, count)
    upper = np.column_stack([np.cos(angle), np.sin(angle)])
    lower = np.column_stack([1 - np.cos(angle), 0.5 - np.sin(angle)])
    return np.where(y[:, None], lower, upper) + random.normal(0, 0.1, (count, 2)), y


def two_classes(path, x, y):
    """A data file of two classes: one half for training, the other for the test."""
    half = len(x) // 2
    splits = {"train": (x[:half], y[:half]), "test": (x[half:], y[half:])}
    return write_data(path, splits, task="classification", classes=["blue", "red"])


def digits(folder):
    """The data file of handwritten digits that distnn ships: 8 × 8 pixels, ten classes."""
    return shipped.convert(folder / "digits.h5")


def shell(folder, *command):
    """Run a command in a folder, with this Python's mpiexec and distnn, and return what it prints."""
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    environment["PRTE_MCA_rmaps_default_mapping_policy"] = ":oversubscribe"  # Open MPI: three ranks even on two cores
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def metrics(run, kind):
    """The records of one kind in a run's metrics.jsonl."""
    records = map(json.loads, (Path(run) / "metrics.jsonl").read_text().splitlines())
    return [record for record in records if record["kind"] == kind]


def show_regions(axes, predict, x, y):
    """Plot points of two classes over the predicted probability of the red one; black where it is ½."""
    low, high = x.min(axis=0) - 0.3, x.max(axis=0) + 0.3
    grid = np.stack(np.meshgrid(np.linspace(low[0], high[0], 200), np.linspace(low[1], high[1], 200)), axis=-1)
    red = predict(grid.reshape(-1, 2))[:, -1].reshape(200, 200)
    extent = (low[0], high[0], low[1], high[1])
    axes.imshow(red, cmap=BLUE_RED, vmin=-0.9, vmax=1.9, origin="lower", extent=extent)
    axes.contour(grid[..., 0], grid[..., 1], red, levels=[0.5], colors="black", linewidths=1.5)
    for label, colour in enumerate((BLUE, RED)):
        axes.plot(*x[y == label].T, ".", color=colour, markersize=5)
    axes.set(xlabel="$x_1$", ylabel="$x_2$", aspect="equal")
