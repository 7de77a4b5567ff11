"""Logistic regression: beside a straight line, its threshold and hyperplane, and what no hyperplane separates."""

import lecture
import matplotlib.pyplot as plt
import numpy as np

from distnn import fit
from distnn.data import write_data
from distnn.layers import Dense, Sequential
from distnn.optim import SGD

figures, work = lecture.folders()

# --- twenty students: hours of study, and who passed; and the same with five more, who studied long and passed
hours = np.array([0.5, 1, 1.5, 1.8, 2, 2.3, 2.6, 3, 3.2, 3.5, 3.8, 4, 4.3, 4.6, 5, 5.3, 5.7, 6, 6.5, 7])
passed = np.array([0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 1, 1, 0, 1, 1, 1, 1, 1, 1])
long_hours, long_passed = np.append(hours, [14, 15, 16, 17, 18]), np.append(passed, [1] * 5)


def sigma(z):
    """The logistic function."""
    return 1 / (1 + np.exp(-z))


def learn(name, network, data, epochs=20, **settings):
    """Train on a data file, and return what was trained."""
    settings = {"batch_size": 32, "optimizer": SGD(learning_rate=0.3, momentum=0.9)} | settings
    return fit(network, data, out=work / name, epochs=epochs, checkpoint={"every_epochs": 0}, **settings)


def logistic():
    """One neuron: a weighted sum of the inputs, and a bias."""
    return Sequential(Dense(1))


def mlp():
    """Two hidden layers between input and output."""
    return Sequential(Dense(16, "tanh"), Dense(16, "tanh"), Dense(1))


# --- a line and a logistic curve for them: where each says ½
border, right = {}, {}
scale = np.linspace(-0.5, 19, 300)
for students, (x, y) in {"20": (hours, passed), "25": (long_hours, long_passed)}.items():
    slope, intercept = np.polyfit(x, y, 1)  # the line with the smallest squared error
    data = write_data(work / f"{students}.h5", {"train": (x[:, None], y)}, task="classification", classes=["no", "yes"])
    trained = learn(students, logistic(), data, epochs=200, batch_size="full", optimizer=SGD(0.2, momentum=0.9))
    weight, bias = (trained.parameters.value[f"dense1.{role}"].item() for role in ("weight", "bias"))
    curves = {"line": slope * scale + intercept, "curve": sigma(weight * scale + bias)}
    border["line", students], border["curve", students] = (0.5 - intercept) / slope, -bias / weight
    for name, values in {"line": slope * hours + intercept, "curve": sigma(weight * hours + bias)}.items():
        right[name, students] = int(((values > 0.5) == passed).sum())
        where = f"says ½ at {border[name, students]:.2f} hours; {right[name, students]} of the first 20 right"
        print(f"{students} students, {name:>5}: {where}")
    figure, axes = plt.subplots(figsize=(4.4, 3.2))
    axes.scatter(x, y, c=np.where(y, lecture.RED, lecture.BLUE), s=24, zorder=3)
    for name, colour in {"line": lecture.ORANGE, "curve": "black"}.items():
        label = {"line": "linear regression", "curve": "logistic regression"}[name]
        axes.plot(scale, curves[name], color=colour, label=label)
        axes.plot(border[name, students], 0.5, "o", color=colour, fillstyle="none", markersize=9)
    axes.axhline(0.5, color=lecture.GREY, linewidth=0.8, linestyle="--")
    last = 8 if students == "20" else 19
    axes.set(xlabel="hours of study", ylabel="passed", xlim=(-0.5, last), ylim=(-0.35, 1.55), yticks=[0, 0.5, 1])
    axes.legend(loc="upper left" if students == "20" else "lower right", title=f"{students} students")
    if students == "20":
        lecture.save(figure, figures / "02_twenty.svg")
        first = weight, bias
    else:
        lecture.save(figure, figures / "02_twenty_five.svg")
moved = {name: abs(border[name, "25"] - border[name, "20"]) for name in ("line", "curve")}
lecture.claim(
    moved["line"] > 10 * moved["curve"],
    f"five more students move the line's border over ten times as far as the curve's; found {moved}",
)
lecture.claim(
    list(right.values()) == [18, 18, 15, 18],
    f"of the first 20, line and curve have 18 right at first, and 15 and 18 with five more students; found {right}",
)
places = [round(border["line", students], 1) for students in ("20", "25")]
lecture.claim(places == [3.7, 4.3], f"the line's border moves from 3.7 to 4.3 hours; found {places}")

# --- the logistic function
z = np.linspace(-7, 7, 200)
figure, axes = plt.subplots(figsize=(4.4, 2.8))
axes.plot(z, sigma(z), color="black")
axes.fill_between(z[z > 0], 0, sigma(z[z > 0]), color=lecture.RED, alpha=0.2, linewidth=0)
axes.fill_between(z[z < 0], 0, sigma(z[z < 0]), color=lecture.BLUE, alpha=0.2, linewidth=0)
axes.plot([-7, 0, 0], [0.5, 0.5, 0], color=lecture.GREY, linewidth=0.8, linestyle="--")
axes.text(3.4, 0.4, "$f(z) > 0.5$:\nclass 1", ha="center")
axes.text(-4.6, 0.14, "$f(z) < 0.5$:\nclass 0", ha="center")
axes.set(xlabel="$z$", ylabel="$f(z)$", xlim=(-7, 7), ylim=(0, 1.02), yticks=[0, 0.5, 1])
lecture.save(figure, figures / "02_function.svg")
by_hand = [round(float(sigma(value)), 3) for value in (-2, 0, 2)]
lecture.claim(by_hand == [0.119, 0.5, 0.881], f"f(−2), f(0), f(2) are 0.119, 0.5, 0.881; found {by_hand}")
lecture.claim(((sigma(z) > 0.5) == (z > 0)).all(), "f(z) > 0.5 exactly where z > 0")

# --- the threshold: 0.5 or another. For 400 students, what each one costs
random = np.random.default_rng(0)
x = random.uniform(0, 7.5, 400)
y = (random.uniform(size=400) < sigma(1.5 * (x - 3.7))).astype(int)
chance = sigma(first[0] * x + first[1])
figure, axes = plt.subplots(figsize=(4.4, 2.8))
bins = np.linspace(0, 1, 21)
axes.hist([chance[y == 0], chance[y == 1]], bins, color=[lecture.BLUE, lecture.RED], label=["failed", "passed"])
axes.axvline(0.5, color="black", linewidth=1.5)
axes.text(0.52, axes.get_ylim()[1] * 0.93, "threshold")
axes.set(xlabel="predicted probability to pass", ylabel="students")
axes.legend(loc="upper center", bbox_to_anchor=(0.35, 1))
lecture.save(figure, figures / "02_threshold.svg")
wrong = {}
for limit in (0.2, 0.5, 0.8):
    false, missed = int(((chance > limit) & (y == 0)).sum()), int(((chance <= limit) & (y == 1)).sum())
    wrong[limit] = false, missed
    print(f"threshold {limit}: {false} failed though predicted to pass, {missed} passed though predicted to fail")
lecture.claim(
    wrong[0.2][0] > wrong[0.5][0] > wrong[0.8][0] and wrong[0.2][1] < wrong[0.5][1] < wrong[0.8][1],
    f"a higher threshold has fewer false passes and more missed ones; found {wrong}",
)
lecture.record(figures / "02_threshold.json", {"hours": x, "passed": y, "probability": chance})

# --- two inputs: the hyperplane is a line
data = lecture.two_classes(work / "clouds.h5", *lecture.clouds(1000))
trained = learn("clouds", logistic(), data, epochs=10)
w, b = trained.parameters.value["dense1.weight"][:, 0], trained.parameters.value["dense1.bias"][0]
foot = -b * w / (w @ w)  # the point of the hyperplane that is nearest to the origin
print(f"two clouds: w = ({w[0]:.2f}, {w[1]:.2f}), b = {b:.2f}, test accuracy {trained.summary.test.accuracy:.3f}")
on_it = trained.predict(foot[None, :])[0, -1]
lecture.claim(abs(on_it - 0.5) < 1e-5, f"on the hyperplane the probability is ½; found {on_it:.6f}")

figure, axes = plt.subplots(figsize=(4.4, 4))
points, red = lecture.clouds(300, seed=1)
lecture.show_regions(axes, trained.predict, points, red)
along = w / np.linalg.norm(w)
tail = foot + 1.9 * np.array([-along[1], along[0]])  # a place on the line away from the points
axes.annotate("", tail + 0.8 * along, tail, arrowprops={"arrowstyle": "-|>", "lw": 2, "color": "black"})
axes.text(*(tail + 1.0 * along), "$w$", size=14, ha="center", va="center")
axes.set_title(r"$\theta^T x = 0$ divides the plane")
lecture.save(figure, figures / "02_hyperplane.svg")
lecture.record(figures / "02_hyperplane.json", {"x": points, "y": red, "w": w, "b": b, "classes": ["blue", "red"]})

# --- two data sets that aren't linearly separable: logistic regression fails, and a network doesn't
pictures = {
    (lecture.xor, logistic): figures / "02_xor_logistic.svg",
    (lecture.xor, mlp): figures / "02_xor_mlp.svg",
    (lecture.moons, logistic): figures / "02_moons_logistic.svg",
    (lecture.moons, mlp): figures / "02_moons_mlp.svg",
}
for (samples, network), path in pictures.items():
    data = work / f"{samples.__name__}.h5"
    if network is logistic:
        lecture.two_classes(data, *samples(1600))
    trained = learn(path.stem, network(), data)
    accuracy = trained.summary.test.accuracy
    what = f"{samples.__name__}, {'logistic regression' if network is logistic else 'MLP'}"
    print(f"{what}: test accuracy {accuracy:.3f}")
    low, high = (0, 0.92) if network is logistic else (0.99, 1)
    lecture.claim(low <= accuracy <= high, f"{what}: an accuracy from {low} to {high}; found {accuracy:.3f}")
    figure, axes = plt.subplots(figsize=(4.2, 3.4))
    lecture.show_regions(axes, trained.predict, *samples(400, seed=1))
    axes.set_title(f"{what}: {accuracy:.3f}")
    lecture.save(figure, path)
