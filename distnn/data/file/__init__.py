"""Data files in HDF5: opening, checking, reading in slabs, and writing them completely or not at all."""
