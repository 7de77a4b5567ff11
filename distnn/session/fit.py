"""Training from Python: `fit` does what ``distnn train`` does, for a network that is an object."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from distnn import config
from distnn.arrays import Array
from distnn.config import DataSettings, RunSettings, TrainSettings
from distnn.data.loader import Loader
from distnn.data.transforms.chains import Chains
from distnn.errors import UsageError, nearest
from distnn.layers import Dense, Flatten, Sequential
from distnn.losses import Loss
from distnn.losses.loss import LossFunction
from distnn.metrics import Metric
from distnn.models import Model
from distnn.models.model import Network
from distnn.optim import Optimizer, Schedule
from distnn.optim.schedule import ScheduleFunction
from distnn.parallel.world import World
from distnn.parameters import Parameters
from distnn.session.parts import Given
from distnn.session.records import Listener, Summary
from distnn.session.run import train
from distnn.supervision.guard import guarded
from distnn.train.evaluate import predict

#: What an object may stand for, and the class that its own is derived from.
BASES: dict[str, type] = {"optimizer": Optimizer, "loss": Loss, "schedule": Schedule}
#: What is made of a function in an object's place.
FUNCTIONS: dict[str, type[LossFunction | ScheduleFunction]] = {"loss": LossFunction, "schedule": ScheduleFunction}


@dataclass(frozen=True)
class Fitted:
    """What `fit` returns.

    Attributes:
        summary: how the training ended, with ``summary.test`` and the like.
        model: the graph.
        scale, chains: what samples are multiplied by, and the transforms of samples and targets.
        parameters: the trained values, ``parameters.value["dense1.weight"]`` and so on.
    """

    summary: Summary
    model: Model
    parameters: Parameters
    scale: float | None
    chains: Chains

    def predict(self, x: Array) -> Array:
        """Class probabilities (N, C), or for regression outputs in the targets' own units, for samples x (N, …).

        They are as the data file holds them; floats, where it holds integers that are scaled, are scaled already.
        """
        x = np.asarray(x)
        scale = self.scale if x.dtype.kind in "iu" else None
        if self.scale is not None and scale is None and self.chains.get("x"):
            x = x / self.scale  # which the transforms begin with
        return predict(self.model, self.parameters, Loader({"x": x}, scale, chains=self.chains))


def fit(
    network: Network,
    data: str | Path,
    *,
    out: str | Path,
    epochs: int = 10,
    batch_size: int | str = 64,
    resume: str | None = None,
    comm: Any = None,
    listener: Listener | None = None,
    **settings: Any,
) -> Fitted:
    """Train ``network`` on a data file: alone, or on every rank of a communicator together.

    Arguments:
        network: a layer, or any function from the input's node to the output's.
        data: the HDF5 data file.
        out: the run's folder.
        epochs, batch_size: as in a run file; ``batch_size`` is global.
        resume: as ``--resume``; the objects are to be given again.
        comm: an mpi4py communicator; all ranks that were launched if None.
        listener: hears of the progress, on rank 0.
        settings: ``optimizer``, ``loss`` or ``schedule`` as an object of any class derived from `Optimizer`, `Loss` or
            `Schedule`, such as ``optimizer=Adam(0.01)``, or as a function, ``loss(output, target)`` of nodes or
            ``schedule(step)``; ``metrics`` as a list of objects of classes derived from `Metric`, kinds, and tables;
            keys of a run file's ``[train]`` or ``[data]``, such as ``seed=1``; and any section as a dict of its keys,
            such as ``checkpoint={"every_steps": 100}``.

    Raises:
        UsageError: for bad data, settings or folders.
        DistnnError: if the training diverges.
    """
    wished = settings.get("metrics")
    if isinstance(wished, list | tuple):
        kinds = [config.recorded(Metric.family, each) if isinstance(each, Metric) else each for each in wished]
        settings["metrics"] = {"kinds": kinds}
    table, objects = _sorted(settings | {"epochs": epochs, "batch_size": batch_size, "path": str(data)})
    objects = {name: _object(name, thing) for name, thing in objects.items()}
    table |= {name: config.recorded(thing.family, thing) for name, thing in objects.items()}
    table["model"] = _describe(network)
    world = World.open(comm)
    with guarded(world, exits=False):
        checked = config.from_dict(_plain(table), "distnn.fit")
        metrics = checked.metrics.make()
        if isinstance(wished, list | tuple):
            metrics = [each if isinstance(each, Metric) else made for each, made in zip(wished, metrics, strict=True)]
        given = Given(network, metrics=metrics, **objects)
        summary, run = train(checked, out=Path(out), resume=resume, world=world, listener=listener, given=given)
    return Fitted(summary, run.model, run.parameters, run.loader.scale, run.chains)


def _sorted(settings: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """What was given as in a run file, by section, and the objects, by the section that each stands for."""
    homes = dict.fromkeys(TrainSettings.model_fields, "train") | dict.fromkeys(DataSettings.model_fields, "data")
    valid = {*homes, *RunSettings.model_fields} - {"model"}
    for name in settings:
        if name not in valid:
            raise UsageError(
                f"distnn.fit takes no argument '{name}'{nearest(name, valid)}; it takes sections of a run file, and "
                f"keys of [train] and [data]."
            )
    tables = {name: keys for name, keys in settings.items() if isinstance(keys, dict) and name not in homes}
    table: dict[str, Any] = {name: dict(keys) for name, keys in tables.items()}
    objects = {}
    for name, value in settings.items():
        if name in homes:
            table.setdefault(homes[name], {})[name] = value
        elif value is not None and not isinstance(value, dict):
            objects[name] = value
    return table, objects


def _plain(value: Any) -> Any:
    """Settings with Python's numbers in the place of numpy's."""
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return value.item() if isinstance(value, np.generic) else value


def _object(name: str, thing: Any) -> Any:
    """An object, of the family that its section is about, or made of a function."""
    base = BASES.get(name)
    if base and isinstance(thing, base):
        return thing
    if name in FUNCTIONS and callable(thing) and not isinstance(thing, type):
        return FUNCTIONS[name](function=thing)
    expected = f"an object of a class derived from {base.__module__}.{base.__name__}, or " if base else ""
    raise UsageError(
        f"distnn.fit: {name} is {thing!r}; expected {expected}a dict of the keys that a run file has for it."
    )


def _describe(network: Network) -> dict[str, Any]:
    """The ``[model]`` section that builds the same graph; for any function but plain layers just its name."""
    layers = network.layers if isinstance(network, Sequential) else ()
    dense = [layer for layer in layers if isinstance(layer, Dense)]
    plain = all(type(layer) in (Dense, Flatten) for layer in layers)
    plain = plain and all(isinstance(layer.activation, str) for layer in dense)
    if not dense or not plain or any(layer.name != f"dense{k}" for k, layer in enumerate(dense, 1)):
        return {"factory": f"python:{getattr(network, '__name__', type(network).__name__).strip('<>')}"}
    return {
        "layers": [
            {"kind": "dense", "units": layer.units, "activation": layer.activation, "bias": layer.bias}
            for layer in dense
        ]
    }
