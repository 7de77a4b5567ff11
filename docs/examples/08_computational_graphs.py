"""Computational graphs: z = 3a + 2bc and J = 3 (a + bc), cut into small steps, with a value for each."""

import lecture
from lecture_drawing import Sketch

from distnn import graph

figures, _ = lecture.folders()
INPUTS = {"a": (0.6, 1.85), "b": (0.6, 1.1), "c": (0.6, 0.35)}  # where the circles are, in inches
GIVEN = {"a": 5, "b": 3, "c": 2}


def draw(places, arrows, formulas, values, file):
    """A circle for each name, with its formula above and its value below; grey is what isn't known yet."""
    sketch = Sketch(4.2, 2.25)
    for name, (x, y) in places.items():
        sketch.circle(name, x, y, colour="black" if name in values else lecture.GREY)
        if name in formulas:
            sketch.text(x, y + 0.37, f"${formulas[name]}$", "black" if name in values else lecture.GREY)
        if name in values:
            place = (x, y - 0.37) if name in formulas else (x - 0.4, y)
            sketch.text(*place, f"{values[name]:g}", lecture.BLUE, weight="bold")
    for start, stop in arrows:
        sketch.arrow(start, stop, colour="black" if stop in values else lecture.GREY)
    lecture.save(sketch.figure, figures / file)


# --- the first example: z = 3a + 2bc
a, b, c = graph.inputs("a b c")
u = (3 * a).named("u")
v = (2 * b * c).named("v")
z = (u + v).named("z")

run = graph.evaluate(z, **GIVEN)
print(", ".join(f"{name} = {run[name]:g}" for name in "abcuvz"))
lecture.claim(run["z"] == 3 * 5 + 2 * 3 * 2, f"the graph computes what the formula says, 27; it is {run['z']:g}")

places = INPUTS | {"u": (2.0, 1.7), "v": (2.0, 0.6), "z": (3.6, 1.15)}
formulas = {"u": "u = 3a", "v": "v = 2bc", "z": "z = u + v"}
for step, known in enumerate(("abc", "abcu", "abcuv", "abcuvz")):
    values = {name: run[name] for name in known}
    draw(places, ("au", "bv", "cv", "uz", "vz"), formulas, values, f"08_z_{step}.svg")

# --- distnn draws graphs, too; and what the page needs, to step through this one
graph.draw(z, values=True, **GIVEN).save(figures / "08_graph.svg")
lecture.record(figures / "08_graph.json", lecture.graph_steps(z, **GIVEN))

# --- the second example: J = 3 (a + bc)
a, b, c = graph.inputs("a b c")
u = (b * c).named("u")
v = (a + u).named("v")
J = (3 * v).named("J")

run = graph.evaluate(J, **GIVEN)
print(", ".join(f"{name} = {run[name]:g}" for name in "abcuvJ"))
lecture.claim(run["J"] == 3 * (5 + 3 * 2), f"the graph computes what the formula says, 33; it is {run['J']:g}")

places = INPUTS | {"u": (1.65, 0.7), "v": (2.75, 1.45), "J": (3.8, 1.45)}
formulas = {"u": "u = bc", "v": "v = a + u", "J": "J = 3v"}
draw(places, ("bu", "cu", "av", "uv", "vJ"), formulas, {name: run[name] for name in "abcuvJ"}, "08_J.svg")

# --- a value changes: what depends on it is computed again
changed = graph.evaluate(J, **GIVEN | {"b": 4})
print("b = 4: " + ", ".join(f"{name} = {changed[name]:g}" for name in "uvJ"))
lecture.claim(changed["J"] - run["J"] == 6, f"J grows by 6 if b does by 1; it grew by {changed['J'] - run['J']:g}")
