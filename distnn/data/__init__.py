"""Data files: HDF5 read in slabs and written whole (`hdf5`), and what turns other formats into them (`convert`).

A data file holds the groups ``train``, ``validation`` and ``test``, each with ``x`` (N, …) and ``y`` (N,) or (N, …);
the root's attributes say the ``task`` and, for classification and languages, the ``classes``. Images stay integers on
disk; the ``scale`` that brings them to 0..1 is applied when they are read into a batch.
"""

from distnn.data.file.hdf5 import DataFile
from distnn.data.file.writing import write_data

__all__ = ["DataFile", "write_data"]
