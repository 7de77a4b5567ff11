"""Data files in HDF5: opened, checked, read in slabs, and written whole or not at all."""
