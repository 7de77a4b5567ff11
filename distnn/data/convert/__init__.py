"""From other formats to data files: one module per source format, each with a function ``convert``.

`digits` (shipped), `fashion_mnist`, `idx`, `npz`, `csv` and `text` are the formats; `splits` and `labels` hold what
several of them need: cutting samples into train, validation and test, and numbering the classes.
"""
