"""Ranks are one: before they work together, they compare what each of them was given, which must be the same.

A node may hold an old copy of the run file or of the data, or another version of a library. Such ranks would train on,
each with something else, or wait for each other for ever.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np

from distnn.errors import UsageError
from distnn.parallel.communicator import Communicator

#: How many differences a message lists.
LISTED = 5


def agree(comm: Communicator, facts: Mapping[str, Any]) -> None:
    """Compare the ``facts`` of all ranks, in one reduction of 8 integers; every rank has to call it.

    Arguments:
        comm: the ranks.
        facts: by name what must be the same on all of them, as JSON has it.

    Raises:
        UsageError: on every rank, if some differ: which, on which ranks and hosts, and their values.
    """
    if comm.size == 1:
        return
    text = json.dumps(facts, default=str)
    words = np.frombuffer(hashlib.sha256(text.encode()).digest(), np.int64)
    largest = np.concatenate([words, ~words])  # of all: the largest, and the complement of the smallest
    comm.maximum(largest)
    if np.array_equal(largest[:4], ~largest[4:]):
        return
    everyone = comm.gather({name: json.dumps(value, default=str) for name, value in facts.items()})
    comm.on_root(lambda: _refuse(comm, everyone or []))


def _refuse(comm: Communicator, everyone: list[dict[str, str]]) -> None:
    """Say what differs, the usual values first.

    Raises:
        UsageError: always.
    """
    names = dict.fromkeys(name for facts in everyone for name in facts)
    differences = []
    for name in names:
        values = [facts.get(name, "nothing") for facts in everyone]
        if len(counts := Counter(values)) > 1:
            told = [_who(comm, values, value) for value, _ in counts.most_common(3)]
            differences.append(f"  {name}: {'; '.join(told)}{'; …' if len(counts) > 3 else ''}")
    more = f"\n  and {len(differences) - LISTED} more" if len(differences) > LISTED else ""
    raise UsageError(
        "the ranks were not given the same, and can't work together:\n"
        + "\n".join(differences[:LISTED])
        + f"{more}\nStart all ranks with the same run file, options, data and environment; a node may have an old copy."
    )


def _who(comm: Communicator, values: list[str], value: str) -> str:
    """Which ranks have the value."""
    ranks = [rank for rank, each in enumerate(values) if each == value]
    first = f"rank {ranks[0]} (host {comm.hosts[ranks[0]]})"
    others = f" and {len(ranks) - 1} more" if len(ranks) > 1 else ""
    return f"{value} on {first}{others}"
