"""Training from Python: `fit` does what ``distnn train`` does, for a network that is an object."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from distnn.arrays import Array
from distnn.data.file.hdf5 import DataFile
from distnn.data.loader import Loader
from distnn.layers import Dense, Flatten, Sequential
from distnn.models import Model
from distnn.models.model import Network
from distnn.optim import SGD, Optimizer
from distnn.parallel.world import World
from distnn.parameters import Parameters
from distnn.session.records import Listener, Summary
from distnn.session.run import train
from distnn.supervision.guard import guarded
from distnn.train.evaluate import predict


@dataclass(frozen=True)
class Fitted:
    """What `fit` returns.

    Attributes:
        summary: how the training ended, with ``summary.test`` and the like.
        model: the graph.
        parameters: the trained values, ``parameters.value["dense1.weight"]`` and so on.
    """

    summary: Summary
    model: Model
    parameters: Parameters
    scale: float | None

    def predict(self, x: Array) -> Array:
        """Class probabilities (N, C), or for regression outputs, for samples x (N, …) as the data file holds them."""
        x = np.asarray(x)
        scale = self.scale if x.dtype.kind in "iu" else None
        return predict(self.model, self.parameters, Loader(x, np.zeros(len(x)), scale))


def fit(
    network: Network,
    data: str | Path,
    *,
    out: str | Path,
    epochs: int = 10,
    batch_size: int | str = 64,
    optimizer: Optimizer | None = None,
    seed: int = 0,
    streams: bool = False,
    resume: str | None = None,
    comm: Any = None,
    listener: Listener | None = None,
    **sections: dict[str, Any],
) -> Fitted:
    """Train ``network`` on a data file: alone, or on every rank of a communicator together.

    Arguments:
        network: a layer, or any function from the input's node to the output's.
        data: the HDF5 data file.
        out: the run's folder.
        epochs, batch_size, seed, streams: as in a run file; ``batch_size`` is global.
        optimizer: the update rule; SGD with its defaults if None.
        resume: as ``--resume``.
        comm: an mpi4py communicator; all ranks that were launched if None.
        listener: hears of the progress, on rank 0.
        sections: further keys by section, as in a run file: ``schedule={"kind": "cosine"}``.

    Raises:
        UsageError: for bad data, settings or folders.
        DistnnError: if the training diverges.
    """
    from distnn import config

    table = {name: dict(section) for name, section in sections.items()}
    table.setdefault("train", {}).update(epochs=epochs, seed=seed)
    table.setdefault("data", {}).update(path=str(data), batch_size=batch_size, streams=streams)
    table["optimizer"] = (optimizer or SGD()).settings
    table["model"] = _describe(network)
    world = World.open(comm)
    with guarded(world, exits=False, watched=True):
        settings = config.from_dict(table, "distnn.fit")
        with DataFile(data, world.comm.mpi) as file:
            scale = file.scale
        summary, run = train(settings, out=Path(out), resume=resume, world=world, listener=listener, network=network)
    return Fitted(summary, run.model, run.parameters, scale)


def _describe(network: Network) -> dict[str, Any]:
    """The ``[model]`` section that builds the same graph; for any function but plain layers just its name."""
    layers = network.layers if isinstance(network, Sequential) else ()
    dense = [layer for layer in layers if isinstance(layer, Dense)]
    plain = all(isinstance(layer, Dense | Flatten) for layer in layers)
    plain = plain and all(isinstance(layer.activation, str) for layer in dense)
    if not dense or not plain or any(layer.name != f"dense{k}" for k, layer in enumerate(dense, 1)):
        return {"factory": f"python:{getattr(network, '__name__', type(network).__name__).strip('<>')}"}
    return {
        "layers": [
            {"kind": "dense", "units": layer.units, "activation": layer.activation, "bias": layer.bias}
            for layer in dense
        ]
    }
