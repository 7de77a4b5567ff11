"""Checkpoints: everything a run needs to go on as if it had never stopped, on any number of ranks.

`content` is what a checkpoint holds, and how it goes back into a model; `file` is the HDF5 format, and reads it;
`writing` and `blocks` write and verify it; `folder` is RUN/checkpoints, where `latest` and `best` name good files and
nothing that was saved is ever lost; `draft` is a file on its way there. `outline` tells what any HDF5 file is.
"""

from distnn.checkpoint.blocks import Block, share, writers
from distnn.checkpoint.content import Checkpoint, arrays, digest, fit_into, flat
from distnn.checkpoint.draft import Draft, fill, save
from distnn.checkpoint.file import load
from distnn.checkpoint.folder import clean, newest_good, resolve
from distnn.checkpoint.outline import DatasetOutline, Outline, kind_of, outline

__all__ = [
    "Block",
    "Checkpoint",
    "DatasetOutline",
    "Draft",
    "Outline",
    "arrays",
    "clean",
    "digest",
    "fill",
    "fit_into",
    "flat",
    "kind_of",
    "load",
    "newest_good",
    "outline",
    "resolve",
    "save",
    "share",
    "writers",
]
