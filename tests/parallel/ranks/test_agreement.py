"""What all ranks must have alike is compared before they work together."""

from __future__ import annotations

import pytest

from distnn.errors import UsageError
from distnn.parallel.agreement import agree
from distnn.parallel.communicator import Communicator
from distnn.parallel.world import World

pytestmark = pytest.mark.mpi

COMM = World.open().comm
FACTS = {"seed": 0, "rate": 0.1, "classes": ["a", "b"], "nothing": None}


def test_the_same_is_agreed_on() -> None:
    agree(COMM, FACTS)
    agree(Communicator(), {"rank": COMM.rank})


@pytest.mark.parametrize("stray", range(COMM.size))
@pytest.mark.parametrize("change", [{"seed": 7}, {"rate": 0.1 + 2**-55}, {"classes": ["b", "a"]}, {"more": 1}])
def test_a_rank_that_differs_is_named_everywhere(stray: int, change: dict[str, object]) -> None:
    mine = FACTS | (change if COMM.rank == stray else {})
    (name,) = change
    if COMM.size == 1:
        agree(COMM, mine)  # with itself
        return
    with pytest.raises(UsageError) as caught:
        agree(COMM, mine)
    text = str(caught.value)
    assert f"  {name}: " in text
    assert f"rank {stray} (host {COMM.hosts[stray]})" in text
    assert not any(f"  {other}: " in text for other in FACTS if other != name)
    assert set(COMM.allgather(text)) == {text}
