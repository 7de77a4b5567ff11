"""Pictures of circles, boxes and arrows, for the lecture's scripts. Positions and sizes are in inches."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.patches import Circle, FancyBboxPatch, Rectangle


class Sketch:
    """An empty picture of ``width`` × ``height`` inches, to which shapes and arrows between them are added."""

    def __init__(self, width, height):
        self.figure = plt.figure(figsize=(width, height), layout="none")
        self.axes = self.figure.add_axes((0, 0, 1, 1))
        self.axes.set(xlim=(0, width), ylim=(0, height), aspect="equal")
        self.axes.set_axis_off()
        self.places, self.shapes = {}, {}

    def circle(self, name, x, y, text=None, colour="black", radius=0.23):
        """A circle, which arrows call by its name."""
        self._add(name, x, y, Circle((x, y), radius), text, colour)

    def box(self, name, x, y, text=None, colour="black", width=0.9, height=0.36):
        """A box with round corners, which arrows call by its name."""
        corner = (x - width / 2 + 0.06, y - height / 2 + 0.06)
        shape = FancyBboxPatch(corner, width - 0.12, height - 0.12, boxstyle="round,pad=0.06")
        self._add(name, x, y, shape, text, colour)

    def arrow(self, start, stop, text="", colour="black", bend=0.0, at=0.5, above=0.13, textcolour=None):
        """An arrow from one shape to another; ``text`` is at the part ``at`` of its way, ``above`` to its left."""
        (x, y), (to_x, to_y) = self.places[start], self.places[stop]
        style = {"arrowstyle": "-|>", "color": colour, "shrinkA": 0, "shrinkB": 1.5, "linewidth": 1.2}
        style |= {"patchA": self.shapes[start], "patchB": self.shapes[stop], "connectionstyle": f"arc3,rad={bend}"}
        self.axes.annotate("", (to_x, to_y), (x, y), arrowprops=style)
        length = ((to_x - x) ** 2 + (to_y - y) ** 2) ** 0.5
        # The middle of an arc lies half of its bend to the right of the straight line.
        aside = (above - bend * length / 2) / length
        place = x + at * (to_x - x) - aside * (to_y - y), y + at * (to_y - y) + aside * (to_x - x)
        self.text(*place, text, textcolour or colour)

    def text(self, x, y, text, colour="black", **style):
        """A text, centred at a place."""
        self.axes.text(x, y, text, color=colour, ha=style.pop("ha", "center"), va="center", **style)

    def _add(self, name, x, y, shape, text, colour):
        shape.set(facecolor="none", edgecolor=colour, linewidth=1.3)
        self.axes.add_patch(shape)
        self.places[name], self.shapes[name] = (x, y), shape
        self.text(x, y, f"${name}$" if text is None else text, colour)


def pixels(axes, picture, corner=(0, 0), side=1, **colours):
    """A picture's pixels as squares, its upper left corner at a place, in a frame.

    They are shapes, not an image, and so follow the page's colours.
    """
    (left, top), (height, width) = corner, picture.shape
    axes.pcolormesh(left + side * np.arange(width + 1), top + side * np.arange(height + 1), picture, **colours)
    axes.add_patch(Rectangle(corner, side * width, side * height, fill=False, edgecolor="black", linewidth=0.6))
    axes.set(aspect="equal", xticks=[], yticks=[])
    axes.spines[:].set_visible(False)
    if not axes.yaxis_inverted():
        axes.invert_yaxis()
