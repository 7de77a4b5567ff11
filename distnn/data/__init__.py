"""Data files in HDF5 (`file`), conversion from other formats (`convert`), and loading batches in a random order.

A data file holds the groups ``train``, ``validation`` and ``test``, each with ``x`` (N, …) and ``y`` (N,) or (N, …).
The attributes of its root are the ``task`` and, for classification and languages, the ``classes``. Images are stored as
integers; the attribute ``scale`` of ``x`` that maps them to 0..1 is applied when they are read into a batch. Numbers
without it are used as they are, whatever their type; `transforms` may change them. What distnn writes has a checksum
for each chunk, and the attribute ``fingerprint``; other files need neither.
"""

from distnn.data.file.reading import DataFile
from distnn.data.file.writing import write_data

__all__ = ["DataFile", "write_data"]
