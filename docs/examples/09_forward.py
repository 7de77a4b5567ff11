"""The forward pass: a handwritten digit on its way through a network, in distnn and in four lines of numpy."""

import lecture
import matplotlib.pyplot as plt
import numpy as np

from distnn import fit
from distnn.data import DataFile
from distnn.layers import Dense, Flatten, Sequential
from distnn.optim import SGD

figures, work = lecture.folders()
data = lecture.digits(work)

network = Sequential(Flatten(), Dense(32, "relu"), Dense(16, "relu"), Dense(10))
trained = fit(network, data, out=work / "run", epochs=20, optimizer=SGD(learning_rate=0.05, momentum=0.9))
print(f"{trained.model.description}: test accuracy {trained.summary.test.accuracy:.3f}")
assert trained.summary.test.accuracy > 0.93

with DataFile(data) as file:
    images, labels = file.read("test", 0, 1)
    scale = file.scale  # pixels are stored as small integers, and scaled to 0 … 1 when they are read

# --- the same by hand: each layer is a matrix product, a sum and an activation
value = trained.parameters.value
x = images.reshape(1, 64) * scale
h1 = np.maximum(x @ value["dense1.weight"] + value["dense1.bias"], 0)
h2 = np.maximum(h1 @ value["dense2.weight"] + value["dense2.bias"], 0)
logits = h2 @ value["dense3.weight"] + value["dense3.bias"]
p = np.exp(logits - logits.max()) / np.exp(logits - logits.max()).sum()

difference = np.abs(p - trained.predict(images)).max()
print(f"a {labels[0]}, taken for a {p.argmax()} with probability {p.max():.3f}")
print(f"numpy by hand and distnn differ by {difference:.0e}")
assert difference < 1e-6

figure, (image, first, second, last) = plt.subplots(1, 4, figsize=(9, 3.2), width_ratios=[1.3, 1, 1, 1])
image.imshow(images[0], cmap="Greys")
image.set_title("$x$: 64 pixels")
image.set_axis_off()
for axes, values, title in (
    (first, h1, "$h_1$: 32 ReLUs"),
    (second, h2, "$h_2$: 16 ReLUs"),
    (last, p, "$p$: 10 classes"),
):
    axes.barh(np.arange(values.size), values[0], color=lecture.BLUE)
    axes.invert_yaxis()
    axes.set(title=title, yticks=range(10) if values is p else [])
last.get_children()[int(p.argmax())].set_color(lecture.RED)
lecture.save(figure, figures / "09_forward.svg")
