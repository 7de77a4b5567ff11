"""Each thing that can be wrong with a launch has its line of advice, and a good launch has none."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from distnn.cli.doctor import _table
from distnn.doctor.advice import advice, spans
from distnn.doctor.facts import Examination, Rank

GOOD = Rank(
    rank=0,
    host="n1",
    cpus=[0],
    cores=[0],
    node_cores=4,
    threads=1,
    reason="1 core for 1 rank",
    cpu="EPYC",
    avx512=False,
    blas="openblas 0.3.31 (Haswell)",
    sgemm=80.0,
    copy=12.0,
    shared=10**10,
    place="",
    locks="",
    versions={"numpy": "2.4.0", "MPI": "MPICH 5.0.2"},
)


def launch(*changes: dict[str, Any], nodes: int = 1) -> Examination:
    """Ranks on cores of their own, evenly on so many nodes, each with what is changed for it."""
    each = len(changes) // nodes
    ranks = [
        replace(GOOD, **({"rank": k, "host": f"n{k // each + 1}", "cores": [k % each], "cpus": [k % each]} | change))
        for k, change in enumerate(changes)
    ]
    groups = [list(range(node * each, (node + 1) * each)) for node in range(nodes)]
    return Examination(ranks, groups, "MPICH 5.0.2", "/lib/libmpi.so", "2.0", "/work", [(8, 1e-6)])


@pytest.mark.parametrize("nodes", [1, 2, 4])
def test_nothing_is_wrong(nodes: int) -> None:
    assert advice(launch({}, {}, {}, {}, nodes=nodes)) == []


BOTH = {"cores": [0, 1], "cpus": [0, 1]}
CASES: dict[str, tuple[Examination, list[str]]] = {
    "two ranks on one core": (
        launch({"cores": [0]}, {"cores": [0]}),
        ["n1: 2 ranks with 2 threads in all on 1 core take turns: start fewer ranks on it, or give each cores of its"],
    ),
    "threads × ranks > cores": (
        launch({**BOTH, "threads": 2, "node_cores": 2}, {**BOTH, "threads": 2, "node_cores": 2}),
        ["n1: 2 ranks with 4 threads in all on 2 cores take turns: set OMP_NUM_THREADS=1."],
    ),
    "two hardware threads of one core": (
        launch({"cpus": [0, 64], "cores": [0], "threads": 2}),
        ["n1: 1 rank with 2 threads in all on 1 core take turns: set OMP_NUM_THREADS=1"],
    ),
    "not bound": (
        launch(BOTH, BOTH),
        ["n1: ranks 0-1 are not bound to cores of their own, so two may run on one. Bind them: mpiexec --bind-to core"],
    ),
    "idle cores": (
        launch({"cores": [0, 1, 2, 3]}),
        ["n1: 1 threads in all leave 3 cores of 4 idle. Start more ranks, or more threads (OMP_NUM_THREADS=4, or"],
    ),
    "a slow node": (
        launch({}, {}, {}, {"sgemm": 60.0}, nodes=4),
        ["n4: rank 3 is slow, and every step waits for the slowest: it multiplies matrices at 60 GFLOP/s per"],
    ),
    "a little slower": (launch({}, {}, {}, {"sgemm": 65.0}, nodes=4), []),
    "little shared memory": (
        launch({"shared": 64 * 10**6}, {"shared": 64 * 10**6}),
        ["n1: only 64 MB of memory are free for what the ranks of a node share"],
    ),
    "little shared memory, which one rank doesn't need": (launch({"shared": 0}), []),
    "AVX-512 unused": (
        launch({"avx512": True}),
        ["n1: EPYC has AVX-512, but openblas 0.3.31 (Haswell) uses AVX2. Set"],
    ),
    "an unknown BLAS": (launch({"blas": ""}), ["n1: numpy's BLAS is unknown"]),
    "other versions": (
        launch({}, {}, {"versions": {"numpy": "1.26.0", "MPI": "MPICH 5.0.2"}}, {}, nodes=2),
        ["numpy is 2.4.0 on rank 0, but 1.26.0 on rank 2 (n2): ranks may compute different bits."],
    ),
    "other processors": (launch({}, {"cpu": "Xeon"}, nodes=2), ["the hosts differ: EPYC; Xeon."]),
    "no locks": (
        launch({"locks": "HDF5 can't open a file there: errno 524"}, {}),
        ["/work, seen by rank 0: HDF5 can't open a file there: errno 524; set HDF5_USE_FILE_LOCKING=BEST_EFFORT"],
    ),
    "a folder that can't be written": (
        launch({"locks": "can't write there: Read-only file system"}),
        ["/work, seen by rank 0: can't write there: Read-only file system; choose a folder that the job may write to."],
    ),
    "locks that the user switched off": (launch({"locks": "switched off by HDF5_USE_FILE_LOCKING"}), []),
}


@pytest.mark.parametrize("name", CASES)
def test_problems_are_reported(name: str) -> None:
    found, expected = CASES[name]
    lines = advice(found)
    assert len(lines) == len(expected), lines
    for line, begins in zip(lines, expected, strict=True):
        assert line.startswith(begins), line
        assert line.endswith((".", ")")), line


def test_ranks_that_take_turns_are_not_called_slow() -> None:
    lines = advice(launch({"cores": [0]}, {"cores": [0], "sgemm": 20.0}))
    assert not [line for line in lines if "slow" in line]


@pytest.mark.parametrize(("numbers", "text"), [([], ""), ([3], "3"), ([0, 1, 2, 5, 7, 8], "0-2, 5, 7-8")])
def test_spans(numbers: list[int], text: str) -> None:
    assert spans(numbers) == text


def test_the_tables_fit_80_columns() -> None:
    long = {"host": "nid001234.archer2-compute.example.org", "cores": list(range(0, 256, 2)), "node_cores": 256}
    examination = launch(*[long] * 64, nodes=4)
    for text in (_table(examination, by_rank=True), _table(examination, by_rank=False)):
        assert max(map(len, text.splitlines())) <= 80
        assert "GFLOP/s" in text and "80.0" in text
