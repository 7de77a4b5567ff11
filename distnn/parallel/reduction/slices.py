"""Who owns which slice of the vectors: pure index arithmetic, that any rank can do for any other without a message."""

from __future__ import annotations

from collections.abc import Sequence


class Slices:
    """A vector cut into as many slices as the largest node has ranks, all of which every node owns among its ranks.

    So a slice has one owner on each node, and these owners add it up over the nodes. A rank owns several contiguous
    slices where its node has fewer ranks than the largest.

    Arguments:
        length: of the vector.
        align: slices begin at multiples of so many elements.
        nodes: the ranks of each node.

    Attributes:
        count: the number of slices; some are empty if the vector is short.
    """

    def __init__(self, length: int, align: int, nodes: Sequence[Sequence[int]]) -> None:
        self.length, self.align, self.nodes = length, align, nodes
        self.count = max(map(len, nodes))

    def start(self, number: int) -> int:
        """Where a slice begins, and the one before it ends."""
        lines = -(-self.length // self.align)
        return min(lines * number // self.count * self.align, self.length)

    def extent(self, numbers: range) -> slice:
        """The elements of these contiguous slices."""
        return slice(self.start(numbers.start), self.start(numbers.stop))

    def of(self, rank: int) -> range:
        """The numbers of the slices that this rank owns: at least one."""
        node = next(ranks for ranks in self.nodes if rank in ranks)
        place, among = node.index(rank), len(node)
        return range(self.count * place // among, self.count * (place + 1) // among)

    def owners(self, number: int) -> list[int]:
        """The rank that owns this slice on each node."""
        return [ranks[((number + 1) * len(ranks) - 1) // self.count] for ranks in self.nodes]
