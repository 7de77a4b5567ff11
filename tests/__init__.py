"""The tests of distnn: the same tree as the package. A package itself, so that `tests.support.launch` is importable."""
