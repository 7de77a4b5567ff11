"""The inner loops behind ops, over plain arrays: in numpy, and in `compiled` by numba where that is faster.

Each module here that has one of the same name in `compiled` is the reference: both have the same functions, and give
the same bits, so that a run may be continued with or without numba. `compiled.rectifier` and `compiled.pooling` give
the bits of the numpy in their ops, `compiled.updates` those of the optimisers'. Only `compiled.products` stands alone:
it replaces the BLAS, the order of whose sums is unknown, and its last bits differ.
"""
