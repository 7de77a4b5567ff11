"""The tests of distnn: the same tree as the package. A package itself, so that `tests.launch` is importable."""
