"""The forward pass: a handwritten digit on its way through a network, in distnn and in four lines of numpy."""

import lecture
import matplotlib.pyplot as plt
import numpy as np
from lecture_drawing import Sketch, pixels

from distnn import fit
from distnn.data import DataFile
from distnn.layers import Dense, Flatten, Sequential
from distnn.optim import SGD

figures, work = lecture.folders()
data = lecture.digits(work)

network = Sequential(Flatten(), Dense(32, "relu"), Dense(10))
trained = fit(network, data, out=work / "run", epochs=15, optimizer=SGD(learning_rate=0.05, momentum=0.9))
accuracy = trained.summary.test.accuracy
print(f"{trained.model.description}: test accuracy {accuracy:.3f}")

with DataFile(data) as file:
    images, labels = file.read("test", 0, 1)
    scale = file.scale  # pixels are stored as small integers, and scaled to 0 … 1 when they are read

# --- as in the lecture: one sample is a column, and W has a row for each neuron. distnn keeps W transposed
value = trained.parameters.value
W1, b1 = value["dense1.weight"].T, value["dense1.bias"][:, None]
W2, b2 = value["dense2.weight"].T, value["dense2.bias"][:, None]

x = images.reshape(64, 1) * scale
z1 = W1 @ x + b1
a1 = np.maximum(z1, 0)  # g is ReLU
z2 = W2 @ a1 + b2
y_hat = np.exp(z2 - z2.max()) / np.exp(z2 - z2.max()).sum()  # softmax: ten probabilities
L = -np.log(y_hat[labels[0], 0])  # the cost of this sample: cross-entropy

print(f"{'':>6} shape")
for name, array in {"x": x, "W[1]": W1, "b[1]": b1, "a[1]": a1, "W[2]": W2, "b[2]": b2, "y_hat": y_hat}.items():
    print(f"{name:>6} {' x '.join(map(str, array.shape))}")
difference = np.abs(y_hat[:, 0] - trained.predict(images)[0]).max()
print(f"a {labels[0]}, taken for a {y_hat.argmax()} with probability {y_hat.max():.3f}: L = {L:.4f}")
print(f"numpy and distnn differ by {difference:.0e}")

# --- many samples at once: a row each, in distnn
with DataFile(data) as file:
    many = file.read("test", 0, 100)[0]
rows = np.maximum(many.reshape(100, 64) * scale @ W1.T + b1.T, 0) @ W2.T + b2.T
print(f"100 samples: X {many.reshape(100, 64).shape}, output {rows.shape}")

# --- the shapes, drawn
sketch = Sketch(4.6, 1.3)
names = ("x", "z", "a", "w", "y", "L")
texts = ("$x$", "$z^{[1]}$", "$a^{[1]}$", "$z^{[2]}$", r"$\hat{y}$", "$L$")
counts = (len(x), len(z1), len(a1), len(z2), len(y_hat), 1)
for place, (name, text, count) in enumerate(zip(names, texts, counts, strict=True)):
    sketch.circle(name, 0.35 + 0.76 * place, 0.65, text)
    sketch.text(0.35 + 0.76 * place, 0.26, str(count), lecture.BLUE)
between = ("$W^{[1]}, b^{[1]}$", "$g$", "$W^{[2]}, b^{[2]}$", "softmax", "with $y$")
for place, (start, stop, text) in enumerate(zip(names, names[1:], between, strict=False)):
    sketch.arrow(start, stop)
    sketch.text(0.73 + 0.76 * place, 1.07, text)
lecture.save(sketch.figure, figures / "09_shapes.svg")

# --- the values, drawn
figure, axes = plt.subplots(figsize=(1.9, 1.9))
pixels(axes, images[0], cmap=lecture.INK)
axes.set_title("$x$: 64 pixels")
lecture.save(figure, figures / "09_x.svg")
for file, values, title in (("09_a.svg", a1, "$a^{[1]}$: 32 ReLUs"), ("09_y.svg", y_hat, r"$\hat{y}$: ten classes")):
    figure, axes = plt.subplots(figsize=(2.2, 2.2))
    axes.barh(np.arange(len(values)), values[:, 0], color=lecture.BLUE)
    axes.invert_yaxis()
    axes.set(title=title, yticks=range(10) if values is y_hat else [])
    if values is y_hat:
        axes.patches[int(y_hat.argmax())].set_color(lecture.RED)
    lecture.save(figure, figures / file)

lecture.claim(accuracy > 0.93, f"the network reads more than 93 % of the test digits; it reads {accuracy:.1%}")
lecture.claim(difference < 1e-6, f"numpy and distnn compute the same probabilities; they differ by {difference:.0e}")
same = np.array_equal(rows.argmax(axis=1), trained.predict(many).argmax(axis=1))
lecture.claim(same, "rows of samples give the same classes as distnn")
