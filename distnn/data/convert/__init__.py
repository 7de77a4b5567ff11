"""Conversion from other formats to data files: one module for each source, with a function ``convert``.

The sources are `digits` (shipped with distnn), `fashion_mnist`, `idx`, `npz`, `csv` and `text`. Each ``convert`` writes
the data file ``output`` and returns its path; ``force`` replaces an existing file. It raises DataError if the source is
missing or damaged or doesn't make a data file, or if ``output`` can't be written. `splits` cuts samples into train,
validation and test, and `labels` numbers the classes.
"""
