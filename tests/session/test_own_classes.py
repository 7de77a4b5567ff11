"""A layer, an activation, a loss, an optimiser and a schedule of the user's own: one class each, in one file."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from distnn import config
from distnn.config.kinds import Choice, meanings, section_of
from distnn.data import DataFile
from distnn.errors import CheckpointError, RunFileError, UsageError
from distnn.graph import functions
from distnn.inference.load import restore
from distnn.layers import Dense, Sequential
from distnn.losses import CrossEntropy, SquaredError
from distnn.optim import SGD, StepDecay
from distnn.session.fit import fit
from tests.support.launch import REPOSITORY, mpiexec
from tests.support.runs import alone, blobs, distnn, line, metrics, saved
from tests.support.warm import warm

#: What a user writes: nothing else anywhere.
MODULE = '''
from dataclasses import dataclass

import numpy as np

from distnn.graph import functions
from distnn.layers import Layer
from distnn.losses import Loss
from distnn.ops.activation import FromOutput
from distnn.optim import Optimizer, Schedule
from distnn.registry import Count, Positive, Between


class Doubled(Layer):
    """y = x · factor ^ times."""

    plain = True

    def __init__(
        self,
        factor: Positive = 2.0,  #: by which it is multiplied
        times: Count = 1,  #: how often
        *,
        name: str | None = None,
    ) -> None:
        super().__init__(name)
        self.factor, self.times = factor, times

    def __call__(self, x):
        return x * self.factor**self.times


class Bent(FromOutput):
    """y = x above 0, else s x."""

    def __init__(self, bend: Between = 0.25):
        self.bend = bend

    def apply(self, y, x, ahead=None):
        return np.copyto(y, np.where(x > 0, x, self.bend * x))

    def backward(self, dx, dy, y, scratch):
        return np.multiply(dy, np.where(y > 0, 1, self.bend), out=dx)


@dataclass(frozen=True)
class Shifted(Loss):
    """Σ (p − t − s)²."""

    shift: float = 0.0  #: s

    def __call__(self, output, target):
        return functions.squared_error(output, target + self.shift)


@dataclass(frozen=True)
class Signs(Optimizer):
    """w ← w − α sign v, with v ← μ v + g."""

    slots = ("velocity",)

    learning_rate: Positive = 0.001  #: the length of a step
    keep: Between = 0.9  #: μ

    def update(self, block, scale, learning_rate, step):
        v = block.slots[0]
        v *= self.keep
        v += block.g * scale
        block.w[...] -= learning_rate * np.sign(v)


@dataclass(frozen=True, kw_only=True)
class Halves(Schedule):
    """½ in every second epoch."""

    low: Positive = 0.5  #: in every second epoch

    def factor_at(self, step, epoch_steps, total_steps):
        return self.low if step // epoch_steps % 2 else 1.0


class Other:
    """Of no family."""
'''
RUN = """\
[data]
path = "{data}"
batch_size = 30

[train]
epochs = {epochs}
dtype = "float64"

[[model.layers]]
kind = "own_parts:Doubled"
times = 2

[[model.layers]]
units = 6
activation = "own_parts:Bent"

[[model.layers]]
kind = "activation"
activation = "own_parts:Bent"
bend = 0.5

[[model.layers]]

[loss]
kind = "own_parts:Shifted"
shift = 0.125

[optimizer]
kind = "own_parts:Signs"
keep = 0.8

[schedule]
kind = "own_parts:Halves"
warmup_steps = 3

[parallel]
reproducible = true
shards = 3
"""
FIT = """\
from tests.session.test_own_classes import fitted

fitted("fit3", 4)
fitted("half", 2)
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the module, data and a run file; the current one."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own_parts.py").write_text(MODULE)
    (tmp_path / "fit.py").write_text(FIT)
    line(tmp_path / "data.h5", {"train": 90, "test": 30})
    (tmp_path / "run.toml").write_text(RUN.format(data="data.h5", epochs=4))
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "own_parts", raising=False)
    importlib.invalidate_caches()
    return tmp_path


def network() -> Any:
    from own_parts import Bent, Doubled  # type: ignore[import-not-found]

    from distnn.layers import Activation, Dense, Sequential

    return Sequential(Doubled(times=2), Dense(6, Bent()), Activation(Bent(0.5)), Dense(2))


def parameters(folder: Path) -> dict[str, np.ndarray]:
    return dict(saved(folder).parameters)


def fitted(out: str, epochs: int, resume: str | None = None) -> None:
    from own_parts import Halves, Shifted, Signs

    fit(
        network(),
        "data.h5",
        out=out,
        epochs=epochs,
        batch_size=30,
        optimizer=Signs(keep=0.8),
        loss=Shifted(0.125),
        schedule=Halves(warmup_steps=3),
        train={"dtype": "float64"},
        parallel={"reproducible": True, "shards": 3},
        resume=resume,
    )


def same(one: Path, other: Path) -> None:
    mine, theirs = parameters(one), parameters(other)
    assert mine.keys() == theirs.keys()
    for name, value in mine.items():
        np.testing.assert_array_equal(value, theirs[name], err_msg=name)


def test_by_name_in_a_run_file_on_any_number_of_ranks_and_again_from_a_checkpoint(here: Path) -> None:
    for ranks in (1, 3):
        done = warm(ranks, ["train", "run.toml", "--out", f"on{ranks}", "--quiet"], cwd=here)
        assert done.returncode == 0, done
    same(here / "on1", here / "on3")
    found = saved(here / "on1")
    assert found.settings["optimizer"] == {"kind": "own_parts:Signs", "learning_rate": 0.001, "keep": 0.8}
    assert found.settings["loss"] == {"kind": "own_parts:Shifted", "shift": 0.125}
    assert found.settings["model"]["layers"][0] == {"kind": "own_parts:Doubled", "factor": 2.0, "times": 2}
    sources = {name: value for name, value in found.environment.items() if name.startswith("source of own_parts:")}
    assert {name.partition(":")[2] for name in sources} == {"Bent", "Doubled", "Shifted", "Signs", "Halves"}
    assert all(len(value) == 64 for value in sources.values())
    half = distnn("train", "run.toml", "--out", "half", "--quiet", "--set", "train.epochs=2", cwd=here)
    rest = distnn("train", "run.toml", "--out", "half", "--quiet", "--resume", "auto", cwd=here)
    assert half.returncode == rest.returncode == 0, (half, rest)
    same(here / "on1", here / "half")
    refused = distnn("evaluate", "on3", "data.h5", cwd=here)
    assert refused.returncode == 2 and 'loss.kind = "own_parts:Shifted": this names code' in refused.stderr
    done = distnn("evaluate", "on3", "data.h5", "--trust-code", cwd=here)
    assert done.returncode == 0, done.stderr
    (last,) = [each for each in metrics(here / "on3", "evaluation") if each["split"] == "test"]
    with DataFile(here / "data.h5") as file:
        assert restore(here / "on3", alone().comm).evaluate(file, "test", alone())[0].mean_loss == last["loss"]
    assert distnn("predict", "on3", "data.h5", "-o", "p.h5", "--trust-code", cwd=here).returncode == 0
    (here / "own_parts.py").write_text(MODULE + "\n# changed\n")
    rest = distnn("train", "run.toml", "--out", "half", "--resume", "auto", "--set", "train.epochs=5", cwd=here)
    assert "the source file of own_parts:Signs has changed since the checkpoint" in rest.stdout + rest.stderr


def test_as_objects_in_fit_on_any_number_of_ranks(here: Path) -> None:
    reference = distnn("train", "run.toml", "--out", "file", "--quiet", cwd=here)
    assert reference.returncode == 0, reference.stderr
    done = mpiexec(3, [sys.executable, "fit.py"], cwd=here, env=path(here))
    assert done.returncode == 0, done
    fitted("fit1", 4)
    fitted("half", 4, "auto")
    for each in ("fit1", "fit3", "half"):
        same(here / each, here / "file")
    assert saved(here / "half").settings["optimizer"] == {
        "kind": "own_parts:Signs",
        "learning_rate": 0.001,
        "keep": 0.8,
    }
    assert "source of own_parts:Halves" in saved(here / "half").environment


def path(here: Path) -> dict[str, str | None]:
    return {"PYTHONPATH": f"{REPOSITORY}:{here}"}


def test_an_object_is_used_as_it_is(here: Path) -> None:
    """Its class is in no module that an import finds, and its constructor takes what no run file can hold."""
    from distnn.layers import Dense
    from distnn.optim import SGD

    calls: list[Any] = []

    class Watched(SGD):
        def decays(self, name: str) -> float:
            calls.append(name)
            return super().decays(name)

    class Counting(SquaredError):
        def __init__(self, calls: list[Any], told: object = None) -> None:
            self.calls = calls

        def __call__(self, output: Any, target: Any) -> Any:
            self.calls.append("loss")
            return super().__call__(output, target)

    rule = Watched(0.01, weight_decay=0.1)
    found = fit(Dense(2), here / "data.h5", out=here / "run", epochs=1, optimizer=rule, loss=Counting(calls))
    assert {"loss", "dense1.weight"} <= set(calls)
    assert found.model.criterion.__class__ is Counting
    kept = saved(here / "run").settings
    assert kept["optimizer"]["kind"] == "python:Watched" and kept["optimizer"]["weight_decay"] == 0.1
    assert kept["loss"]["kind"] == "python:Counting"
    with pytest.raises(CheckpointError, match="passed to distnn.fit"):
        restore(here / "run", alone().comm)
    with pytest.raises(
        UsageError, match="distnn.fit: loss is 3; expected an object of a class derived from distnn.los"
    ):
        fit(Dense(2), here / "data.h5", out=here / "other", loss=3)  # type: ignore[arg-type]


def test_functions_stand_for_a_loss_and_a_schedule(here: Path) -> None:
    def run(name: str, **given: Any) -> Any:
        common = {"epochs": 3, "batch_size": "full", "optimizer": SGD(0.01)}
        return fit(Dense(2), here / "data.h5", out=here / name, **common, **given)

    objects = run("objects", loss=SquaredError(), schedule=StepDecay(every_epochs=1, factor=0.5))
    found = run("functions", loss=functions.squared_error, schedule=lambda step: 0.5**step)
    assert found.parameters.fingerprint() == objects.parameters.fingerprint()
    assert saved(here / "functions").settings["loss"] == {"kind": "python:LossFunction"}
    with pytest.raises(
        UsageError, match=r"loss: <function .*> gives 3; expected a scalar node, the sum over the batch"
    ):
        run("number", loss=lambda output, target: 3)
    with pytest.raises(UsageError, match="distnn.fit: loss is <class .*SquaredError'>; expected an object of a class"):
        run("class", loss=SquaredError)


@pytest.mark.parametrize(
    ("section", "keys", "words"),
    [
        (
            "optimizer",
            {"kind": "absent_parts:Signs"},
            'optimizer.kind = "absent_parts:Signs": there is no module \'abs',
        ),
        (
            "optimizer",
            {"kind": "own_parts:Sings"},
            "optimizer.kind = \"own_parts:Sings\": module 'own_parts' has no cla",
        ),
        (
            "loss",
            {"kind": "own_parts:Signs"},
            'loss.kind = "own_parts:Signs": this is no loss; expected a class that is',
        ),
        ("schedule", {"kind": "own_parts:Other"}, 'schedule.kind = "own_parts:Other": this is no schedule; expected a'),
        ("optimizer", {"kind": "own_parts:Signs", "kep": 0.5}, "optimizer.kep is not a setting (did you mean 'keep'?)"),
        (
            "optimizer",
            {"kind": "own_parts:Signs", "keep": 1},
            "optimizer.keep is 1 (an integer), but must be a number abo",
        ),
        (
            "optimizer",
            {"kind": "own_parts:Signs", "beta1": 0.5},
            'optimizer.beta1 belongs to kind = "adam", "adamw" or',
        ),
        (
            "model",
            {"layers": [{"kind": "own_parts:Bent"}]},
            'model.layers[0].kind = "own_parts:Bent": this is no layer',
        ),
        (
            "model",
            {"layers": [{"activation": "own_parts:Other"}]},
            'model.layers[0].activation = "own_parts:Other": thi',
        ),
        (
            "optimizer",
            {"kind": "python:Signs"},
            'optimizer.kind = "python:Signs": this was made in Python',
        ),
        (
            "model",
            {"layers": [{"kind": "activation", "activation": "own_parts:Bent", "slope": 0.5}, {}]},
            'model.layers[0].slope belongs to activation = "leaky_relu" and has no meaning with activation = "own_',
        ),
        (
            "model",
            {"layers": [{"kind": "own_parts:Doubled", "times": 0}, {}]},
            "model.layers[0].times is 0 (an integer), but must be an integer of at least 1",
        ),
        (
            "model",
            {"layers": [{"kind": "activation", "activation": "own_parts:Bent", "bend": 2}, {}]},
            "model.layers[0].bend is 2 (an integer), but must be a number above 0 and below 1",
        ),
    ],
    ids=str,
)
def test_what_is_wrong_is_refused_in_words(here: Path, section: str, keys: dict[str, Any], words: str) -> None:
    table = {"model": {"kind": "mlp"}, "data": {"path": "d.h5"}} | {section: keys}
    with pytest.raises(RunFileError) as error:
        config.from_dict(table, "it")
    assert str(error.value).startswith(f"it: {words}")


def test_a_class_that_is_registered_is_known_everywhere(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from distnn.optim import Optimizer

    monkeypatch.setattr(Optimizer.family, "kinds", dict(Optimizer.family.kinds))
    own: Any = importlib.import_module("own_parts")
    Optimizer.family.kinds["signs"] = own.Signs
    with pytest.raises(RunFileError, match=r'"lamb" or "signs" \(did you mean \'signs\'\?\)'):
        config.from_dict({"model": {"kind": "mlp"}, "data": {"path": "d.h5"}, "optimizer": {"kind": "sings"}})
    found = section_of(Choice(Optimizer.family, "signs", own.Signs))
    assert meanings(found) == {"kind": "the update rule", "learning_rate": "the length of a step", "keep": "μ"}


def test_a_word_stands_for_one_class(here: Path) -> None:
    from distnn.optim import Optimizer

    with pytest.raises(UsageError, match=r"kind 'sgd' stands for another optimiser already, distnn\.optim\.sgd\.SGD"):

        class Again(Optimizer, kind="sgd"):
            pass


def test_classification_takes_own_activations_too(here: Path) -> None:
    from distnn.layers import Dense, Sequential

    data = blobs(here / "blobs.h5", {"train": 90, "test": 30})
    own: Any = importlib.import_module("own_parts")
    found = fit(Sequential(Dense(8, own.Bent()), Dense(3)), data, out=here / "c", epochs=5, batch_size=10)
    assert found.summary.test is not None


def test_numbers_of_numpy_are_recorded_as_pythons(here: Path) -> None:
    data = blobs(here / "classes.h5", {"train": 90, "test": 60})
    loss = CrossEntropy(class_weights=np.array([1.0, 20.0, 1.0]), label_smoothing=np.float32(0.25))  # type: ignore[arg-type]
    found = fit(Sequential(Dense(3)), data, out=here / "run", epochs=1, optimizer=SGD(np.float64(0.01)), loss=loss)
    kept = saved(here / "run").settings
    assert kept["loss"] == {"kind": "cross_entropy", "class_weights": [1.0, 20.0, 1.0], "label_smoothing": 0.25}
    assert config.read(here / "run" / "run.toml").optimizer.learning_rate == 0.01
    with DataFile(data) as file:
        again, _ = restore(here / "run", alone().comm).evaluate(file, "test", alone())
    assert found.summary.test is not None and again.mean_loss == found.summary.test.loss


def test_an_object_that_does_not_keep_what_it_was_given_is_not_built_from_less(here: Path) -> None:
    (here / "keeps_less.py").write_text(
        "from distnn.losses import SquaredError\n\n\nclass Less(SquaredError):\n"
        "    def __init__(self, shift: float = 0.0) -> None:\n        self._shift = shift\n"
    )
    less = importlib.import_module("keeps_less").Less
    fit(Sequential(Dense(2)), here / "data.h5", out=here / "run", epochs=1, loss=less(3.0))
    assert saved(here / "run").settings["loss"] == {"kind": "python:Less"}
    with pytest.raises(CheckpointError, match="was trained with a loss that was passed to distnn.fit"):
        restore(here / "run", alone().comm)


def test_a_word_that_fit_does_not_know_brings_the_nearest(here: Path) -> None:
    with pytest.raises(UsageError, match=r"takes no argument 'optimiser' \(did you mean 'optimizer'\?\)"):
        fit(Dense(2), here / "data.h5", out=here / "run", optimiser=SGD())


@pytest.mark.parametrize(
    ("module", "reason"),
    [("raise ValueError('no licence')", "ValueError: no licence"), ("def (", "SyntaxError: invalid syntax")],
)
def test_a_module_that_can_not_be_imported_is_explained(here: Path, module: str, reason: str) -> None:
    (here / "broken_parts.py").write_text(module)
    table = {"model": {"kind": "mlp"}, "data": {"path": "d.h5"}, "optimizer": {"kind": "broken_parts:Own"}}
    with pytest.raises(RunFileError, match=r"optimizer.kind = .* importing 'broken_parts' failed: ") as error:
        config.from_dict(table, "it")
    assert reason in str(error.value)


def test_the_arguments_of_a_subclass_of_a_built_in_kind_are_checked(here: Path) -> None:
    (here / "looking.py").write_text(
        "from distnn.optim import SGD\nfrom distnn.registry import Count\n\n\nclass Look(SGD):\n"
        "    def __init__(self, ahead: Count = 5) -> None:\n        super().__init__(0.1)\n"
        "        self.__dict__['ahead'] = ahead\n"
    )
    table = {"model": {"kind": "mlp"}, "data": {"path": "d.h5"}, "optimizer": {"kind": "looking:Look", "ahead": -3}}
    with pytest.raises(RunFileError, match=r"optimizer.ahead is -3 \(an integer\), but must be an integer of at leas"):
        config.from_dict(table, "it")


@pytest.mark.parametrize("name", ["table", "make", "kind", "file", "chosen", "model_fields", "copy", "_own"])
def test_an_argument_that_is_called_like_a_part_of_a_section_is_refused_in_a_run_file(here: Path, name: str) -> None:
    module = f"taken_{name}"
    (here / f"{module}.py").write_text(
        "from distnn.optim import SGD\n\n\nclass Taken(SGD):\n"
        f"    def __init__(self, {name}: float = 0.5) -> None:\n        super().__init__(0.01)\n"
        f"        self.__dict__['{name}'] = {name}\n"
    )
    table = {"model": {"kind": "mlp"}, "data": {"path": "d.h5"}, "optimizer": {"kind": f"{module}:Taken"}}
    words = rf'^it: optimizer.kind = "{module}:Taken": no setting can be called {name}, as one of its arguments is'
    with pytest.raises(RunFileError, match=words):
        config.from_dict(table, "it")
    rule = importlib.import_module(module).Taken(0.25)
    fit(Dense(2), here / "data.h5", out=here / "run", epochs=1, optimizer=rule)
    assert saved(here / "run").settings["optimizer"] == {"kind": "python:Taken"}


@pytest.mark.parametrize("rate", [np.float32(-1), "0.1", True, float("nan")], ids=str)
def test_a_number_out_of_range_is_refused_whatever_its_type(rate: Any) -> None:
    with pytest.raises(UsageError, match="SGD: learning_rate is .*; expected a finite number above 0"):
        SGD(rate)


#: Each lacks, or misspells, what it has to define.
HOLLOW = """
from dataclasses import dataclass
from distnn.layers import Layer
from distnn.losses import Loss
from distnn.ops.activation import Activation, FromOutput
from distnn.ops.gated import Gated
from distnn.optim import Optimizer, Schedule

class NoLayer(Layer):
    def forward(self, x): return x
class NoLoss(Loss): pass
class NoFormula(Activation): pass
class HalfFormula(FromOutput):
    def apply(self, y, x, ahead=None): pass
class NoGate(Gated): pass
@dataclass(frozen=True)
class NoUpdate(Optimizer):
    learning_rate: float = 0.1
    def updates(self, block, scale, learning_rate, step): pass
class NoFactor(Schedule): pass
@dataclass(frozen=True)
class OwnBind(Optimizer):
    learning_rate: float = 0.1
    def bind(self, values, gradients, slots, segments):
        def update(scale, learning_rate, step): values[...] -= scale * learning_rate * gradients
        return update
"""


@pytest.mark.parametrize(
    ("section", "name", "method"),
    [
        ("optimizer", "NoUpdate", "optimiser has to define the method update(block, scale, learning_rate, step)"),
        ("schedule", "NoFactor", "schedule has to define the method factor_at(step, epoch_steps, total_steps)"),
        ("loss", "NoLoss", "loss has to define the method __call__(output, target, weights)"),
        ("layer", "NoLayer", "layer has to define the method __call__(x)"),
        ("activation", "NoFormula", "activation has to define the method bind(work, y, arrays)"),
        ("activation", "HalfFormula", "activation has to define the method backward(dx, dy, y, scratch)"),
        ("activation", "NoGate", "activation has to define the method gate(a, tail, density, spare)"),
    ],
)
def test_a_class_that_lacks_what_its_kind_does_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, section: str, name: str, method: str
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "hollow_parts.py").write_text(HOLLOW)
    monkeypatch.delitem(sys.modules, "hollow_parts", raising=False)
    kind = f"hollow_parts:{name}"
    keys = {"layer": {"layers": [{"kind": kind}, {}]}, "activation": {"layers": [{"activation": kind}, {}]}}
    table = {"data": {"path": "d.h5"}, **({"model": keys[section]} if section in keys else {section: {"kind": kind}})}
    with pytest.raises(RunFileError) as error:
        config.from_dict({"model": {"kind": "mlp"}} | table, "it")
    assert f'"{kind}": this {method}.' in str(error.value)
    with pytest.raises(TypeError, match=f"abstract class {name} with abstract method"):
        getattr(importlib.import_module("hollow_parts"), name)()


def test_an_optimiser_that_binds_by_itself_needs_no_update(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "hollow_parts.py").write_text(HOLLOW)
    monkeypatch.delitem(sys.modules, "hollow_parts", raising=False)
    values = np.ones(3)
    importlib.import_module("hollow_parts").OwnBind().bind(values, np.ones(3), {}, {})(1.0, 0.5, 0)
    np.testing.assert_array_equal(values, 0.5)
