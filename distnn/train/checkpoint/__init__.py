"""Checkpoints: everything a run needs to go on as if it had never stopped, on any number of ranks.

`content` is what a checkpoint holds, and how it goes back into a model; `file` is the HDF5 format, and reads it;
`writing` and `blocks` write and verify it; `folder` is RUN/checkpoints, where `latest` and `best` name good files and
nothing that was saved is ever lost. `outline` tells what any HDF5 file is. Only rank 0 writes.
"""

from distnn.train.checkpoint.content import Checkpoint, digest, fit_into
from distnn.train.checkpoint.file import load
from distnn.train.checkpoint.folder import clean, newest_good, resolve, save
from distnn.train.checkpoint.outline import DatasetOutline, Outline, kind_of, outline

__all__ = [
    "Checkpoint",
    "DatasetOutline",
    "Outline",
    "clean",
    "digest",
    "fit_into",
    "kind_of",
    "load",
    "newest_good",
    "outline",
    "resolve",
    "save",
]
