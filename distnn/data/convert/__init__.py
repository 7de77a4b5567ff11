"""Conversion from other formats to data files: one module for each source, with a function ``convert``.

The sources are `digits` (shipped with distnn), `fashion_mnist`, `idx`, `npz`, `csv` and `text`. `splits` cuts samples
into train, validation and test, and `labels` numbers the classes.
"""
