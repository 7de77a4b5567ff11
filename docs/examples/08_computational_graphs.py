"""Computational graphs: J = 3 (a + b c) with value and derivative at each node, and a node that is used twice."""

import lecture

from distnn import graph

figures, _ = lecture.folders()

# --- the lecture's example, step by step
a, b, c = graph.inputs("a b c")
u = (b * c).named("u")
v = (a + u).named("v")
J = (3 * v).named("J")

run = graph.evaluate(J, a=5, b=3, c=2)
for name in "abcuvJ":
    print(f"{name} = {run[name]:g}, dJ/d{name} = {run.gradient[name]:g}")
assert run["J"] == 33
assert [run.gradient[name] for name in "vuabc"] == [3, 3, 3, 6, 9]

graph.draw(J, values=True, a=5, b=3, c=2).save(figures / "08_graph.svg")
lecture.record(figures / "08_graph.json", lecture.graph_steps(J, a=5, b=3, c=2))

# --- what a derivative means: change b a little, and see how much J changes
h = 0.001
nudged = graph.evaluate(J, a=5, b=3 + h, c=2)["J"]
print(f"b = {3 + h}: J = {nudged:.3f}, so dJ/db is about {(nudged - 33) / h:.3f}")
assert abs((nudged - 33) / h - run.gradient["b"]) < 1e-6

# --- a node that is used twice: its derivative is the sum over both paths
x, y = graph.inputs("x y")
s = (x + y).named("s")
f = (s * x).named("f")
run = graph.evaluate(f, x=3, y=1)
print(f"f = (x + y) x = {run['f']:g}, df/dx = s + x = {run.gradient['x']:g}")
assert run.gradient["x"] == (3 + 1) + 3

graph.draw(f, values=True, x=3, y=1).save(figures / "08_two_paths.svg")
