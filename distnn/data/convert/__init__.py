"""Conversion from other formats to data files: one module for each source, with a function ``convert``.

The sources are `digits` (shipped with distnn), `fashion_mnist`, `idx`, `npz`, `csv`, `parquet`, `images` and `text`.
Each ``convert`` writes the data file ``output`` and returns its path; ``force`` replaces an existing file. It raises
DataError if the source is missing or damaged or doesn't make a data file, or if ``output`` can't be written. `table`
and `columns` make samples of the rows of a table, whatever its format, and `gallery` finds images and their classes;
`splits` cuts samples into train, validation and test, `labels` numbers the classes, and `extras` says how to install
what is missing.
"""
