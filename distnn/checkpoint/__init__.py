"""Checkpoints: everything that a run needs to continue as if it had never stopped, on any number of ranks.

`content` defines what a checkpoint holds, and copies it back into a model. `file` defines the HDF5 format and reads it;
`draft` and `extents` write and verify it. `folder` manages RUN/checkpoints, where `latest` and `best` name good files
and no saved state is ever lost. `outline` describes any HDF5 file.
"""

from distnn.checkpoint.content import Checkpoint, arrays, check_fit, digest, fit_into, flat
from distnn.checkpoint.draft import Draft, fill, save
from distnn.checkpoint.extents import Extent, share, writers
from distnn.checkpoint.file import load
from distnn.checkpoint.folder import clean, newest_good, resolve
from distnn.checkpoint.outline import DatasetOutline, Outline, kind_of, outline

__all__ = [
    "Checkpoint",
    "DatasetOutline",
    "Draft",
    "Extent",
    "Outline",
    "arrays",
    "check_fit",
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
