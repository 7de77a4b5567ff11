"""Draws the picture in README.md from the first table of benchmarks/README.md, which step.py measured:

python benchmarks/picture.py             # needs matplotlib; writes docs/static/speed.svg
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

REPOSITORY = Path(__file__).parents[1]
PICTURE = REPOSITORY / "docs" / "static" / "speed.svg"
#: Light ink, where the reader has dark pages.
DARK = (
    "<style>@media (prefers-color-scheme: dark) "
    '{#speed, #speed [fill="#000000"] {fill: #f0f0f0} #speed [stroke="#000000"] {stroke: #f0f0f0}}</style>'
)
NAMES = {
    "784-128-10@256": "MLP, 128\nbatch 256",
    "784-512-512-10@256": "MLP, 2 × 512\nbatch 256",
    "784-512-512-10@1024": "MLP, 2 × 512\nbatch 1024",
    "784-2048-2048-2048-10@1024": "MLP, 3 × 2048\nbatch 1024",
    "lenet@256": "LeNet\nbatch 256",
    "resnet-14@128": "ResNet-14\nbatch 128",
    "char-lstm@64": "LSTM, text\nbatch 64",
}


def ratios() -> dict[str, float]:
    """The speed of distnn divided by that of PyTorch's DDP, for each case of the table."""
    text = (REPOSITORY / "benchmarks" / "README.md").read_text(encoding="utf-8")
    return {case: float(ddp) for case, ddp in re.findall(r"^\| (\S+@\d+) \| [\d,]+ \| ([\d.]+) \|", text, re.MULTILINE)}


def draw(path: Path = PICTURE) -> None:
    """Write the picture, which readers with dark pages see in light ink."""
    sys.path.insert(0, str(REPOSITORY / "docs" / "examples"))
    import lecture
    import matplotlib.pyplot as plt

    measured = ratios()
    figure, axes = plt.subplots(figsize=(4.6, 4.2))
    bars = axes.barh([NAMES[case] for case in measured], list(measured.values()), color=lecture.BLUE, height=0.65)
    axes.bar_label(bars, fmt="%.2f ×", padding=4)
    axes.axvline(1, color="black", linewidth=1)
    axes.text(1, -0.95, "PyTorch DDP", ha="center", va="center")
    axes.set(xlim=(0, max(measured.values()) * 1.12), xticks=[])
    axes.invert_yaxis()
    axes.tick_params(left=False)
    axes.spines[:].set_visible(False)
    figure.suptitle("Samples per second on the same two cores:\ndistnn over PyTorch DDP", fontsize=11)
    lecture.save(figure, path)
    start, body = path.read_text(encoding="utf-8").split("<svg ", 1)
    opening, body = body.split(">", 1)
    path.write_text(f'{start}<svg id="speed" {opening}>{DARK}{body}', encoding="utf-8")


if __name__ == "__main__":
    draw()
