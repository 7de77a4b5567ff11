"""Layered layout of acyclic graphs, without frames: ranks, an order within each rank, and coordinates.

It follows Sugiyama, Tagawa and Toda, "Methods for Visual Understanding of Hierarchical System Structures", 1981, as
Gansner, Koutsofios, North and Vo describe it, "A Technique for Drawing Directed Graphs", 1993. Each arrow leads to a
later rank; where it passes ranks, it has a bend in each, which takes part in the layout as a vertex does, and so lies
beside the others. The label of an arrow is such a bend, too, and therefore covers nothing. Ranks follow one another
*along* the drawing; what is in a rank lies *across* it.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Literal, NamedTuple

#: Between neighbours in a rank, and between ranks; more where arrows change sides, and less beside labels.
_APART, _GAP, _WIDEST, _BESIDE_LABELS = 22.0, 28.0, 64.0, 14.0
_SWEEPS = 24
#: Ports that are this close are put in line; how far from its centre a vertex has ports, as a part of its breadth.
_NEARLY, _REACH = 12.0, 0.36
#: How much the parts of a link pull at one another: of a short one; of a longer one at its ends, and in between. A long
#: one so goes straight, and leaves what it connects where the short ones want it, which makes the main path straight.
_SHORT, _ENDS, _BETWEEN = 1.0, 0.002, 8.0


@dataclass(eq=False)
class Vertex:
    """What has a place: a box, a frame, or a bend of an arrow.

    Attributes:
        breadth, length: its extents across and along.
        pin: the rank that it must be in, where that is the first or the last.
        x, y: its centre across, and its beginning along.
    """

    breadth: float = 0.0
    length: float = 0.0
    bend: bool = False
    pin: Literal["", "first", "last"] = ""
    rank: int = 0
    x: float = 0.0
    y: float = 0.0


@dataclass(eq=False)
class Connection:
    """An arrow. ``start`` and ``end`` are where it leaves and arrives, from the centres; None for what is free.

    Attributes:
        label: the breadth and length of its label, if it has one.
        route: its vertices after the layout, from the source, by the bends, to the target.
        named: the bend that is its label.
    """

    source: Vertex
    target: Vertex
    start: float | None = None
    end: float | None = None
    label: tuple[float, float] | None = None
    route: list[Vertex] = field(default_factory=list)
    named: Vertex | None = None


class Hop(NamedTuple):
    """A part of a link, from one rank to the next; where it begins and ends, from the centres, and how it pulls."""

    source: Vertex
    target: Vertex
    start: float
    end: float
    pull: float


@dataclass(eq=False)
class Levels:
    """The result: the ranks' beginnings and ends along, and the extents of all."""

    begins: list[float]
    ends: list[float]
    breadth: float


class CycleError(Exception):
    """The links have no order."""


def arrange(vertices: list[Vertex], links: list[Connection]) -> Levels:
    """Give each vertex its place, and each link its route."""
    rank(vertices, links)
    ranks = _bends(vertices, links)
    hops = [hop for link in links for hop in _hops(link)]
    _order(ranks, hops)
    _across(ranks, hops)
    left = min((each.x - each.breadth / 2 for row in ranks for each in row), default=0.0)
    for each in (each for row in ranks for each in row):
        each.x -= left
    _ports(links)
    return _along(ranks, links)


def rank(vertices: list[Vertex], links: list[Connection]) -> None:
    """Put each vertex behind those that link to it, and near those that it links to.

    Raises:
        CycleError: if the links have no order.
    """
    labelled = any(link.label for link in links)
    into, out = defaultdict(list), defaultdict(list)
    for link in links:
        into[link.target].append(link.source)
        out[link.source].append(link.target)

    def least(source: Vertex, target: Vertex) -> int:
        """How many ranks further; a label takes one."""
        return 2 if labelled and not source.pin and not target.pin else 1

    waiting = {each: len(into[each]) for each in vertices}
    order = [each for each in vertices if not waiting[each]]
    for each in order:  # grows
        each.rank = max((source.rank + least(source, each) for source in into[each]), default=0)
        for target in out[each]:
            waiting[target] -= 1
            if not waiting[target]:
                order.append(target)
    if len(order) < len(vertices):
        raise CycleError
    last = max((each.rank for each in vertices), default=0)
    for each in reversed(order):
        if each.pin == "last":
            each.rank = last
        elif len(out[each]) > len(into[each]) and not each.pin:
            each.rank = min(target.rank - least(each, target) for target in out[each])


def length(vertices: list[Vertex], links: list[Connection]) -> float:
    """How long the layout is, along, if no link changes sides and none has a label; without making it."""
    rank(vertices, links)
    longest: dict[int, float] = defaultdict(float)
    for each in vertices:
        longest[each.rank] = max(longest[each.rank], each.length)
    return sum(longest.values()) + _GAP * (len(longest) - 1)


def _bends(vertices: list[Vertex], links: list[Connection]) -> list[list[Vertex]]:
    """The ranks, with a bend in each rank that a link passes."""
    ranks: list[list[Vertex]] = [[] for _ in range(max((each.rank for each in vertices), default=-1) + 1)]
    for each in vertices:
        ranks[each.rank].append(each)
    for link in links:
        between = range(link.source.rank + 1, link.target.rank)
        link.route = [link.source, *(Vertex(rank=number, bend=True) for number in between), link.target]
        if link.label:
            # A label's rank is odd, as no vertex's is, so that it makes no rank of boxes longer.
            link.named = link.route[1 + 2 * (len(between) // 4)]
            link.named.breadth, link.named.length = link.label
        for each in link.route[1:-1]:
            ranks[each.rank].append(each)
    return ranks


def _hops(link: Connection) -> Iterator[Hop]:
    """The parts of a link, with its ports as far as they are known."""
    short = len(link.route) <= 2 + (link.label is not None)
    for a, b in pairwise(link.route):
        start = link.start or 0.0 if a is link.source else 0.0
        end = link.end or 0.0 if b is link.target else 0.0
        inner = a is not link.source and b is not link.target
        yield Hop(a, b, start, end, _SHORT if short else _BETWEEN if inner else _ENDS)


#: For each vertex what it is linked to on one side.
Side = dict[Vertex, list[Hop]]


def _sides(hops: list[Hop]) -> tuple[Side, Side]:
    before, after = defaultdict(list), defaultdict(list)
    for hop in hops:
        before[hop.target].append(hop)
        # As seen from the other end.
        after[hop.source].append(Hop(hop.target, hop.source, hop.end, hop.start, hop.pull))
    return before, after


def _order(ranks: list[list[Vertex]], hops: list[Hop]) -> None:
    """Order each rank by the mean places of what its vertices are linked to, up and down, and keep the best."""
    before, after = _sides(hops)

    def places() -> dict[Vertex, float]:
        return {each: float(place) for row in ranks for place, each in enumerate(row)}

    def aside(vertex: Vertex, port: float) -> float:
        return port / vertex.breadth if vertex.breadth else 0.0

    def crossings() -> int:
        place, by_rank = places(), defaultdict(list)
        for a, b, start, end, _ in hops:
            by_rank[a.rank].append((place[a] + aside(a, start), place[b] + aside(b, end)))
        return sum(_inversions(sorted(each)) for each in by_rank.values())

    def sweep(rows: Iterable[list[Vertex]], near: Side) -> None:
        place = places()
        for row in rows:
            mean = {each: place[each] for each in row}
            for each in row:
                if near[each]:
                    found = [place[hop.source] + aside(hop.source, hop.start) for hop in near[each]]
                    mean[each] = sum(found) / len(found)
            row.sort(key=mean.__getitem__)
            place.update({each: float(number) for number, each in enumerate(row)})

    best, fewest = [list(row) for row in ranks], crossings()
    for _ in range(_SWEEPS):
        if not fewest:
            break
        for rows, near in ((ranks, before), (ranks[::-1], after)):
            sweep(rows, near)
            if (found := crossings()) < fewest:
                best, fewest = [list(row) for row in ranks], found
    ranks[:] = best


def _inversions(pairs: Sequence[tuple[float, float]]) -> int:
    """How many pairs of links cross, from their sorted ends."""
    seen: list[float] = []
    count = 0
    for _, end in pairs:
        count += len(seen) - bisect_right(seen, end)
        insort(seen, end)
    return count


def _across(ranks: list[list[Vertex]], hops: list[Hop]) -> None:
    """The places in the ranks, at which the links are as straight as they can be: least squares, rank by rank."""
    before, after = _sides(hops)
    for row in ranks:
        _settle(row, lambda each: (each.x, 1.0))

    def sweep(rows: Iterable[list[Vertex]], *sides: Side) -> None:
        def wanted(each: Vertex) -> tuple[float, float]:
            near = [hop for side in sides for hop in side[each]]
            weight = sum(hop.pull for hop in near)
            aims = sum((hop.source.x + hop.start - hop.end) * hop.pull for hop in near)
            return (aims / weight, weight) if near else (each.x, 1e-6)

        for row in rows:
            _settle(row, wanted)

    for _ in range(4):
        sweep(ranks, before)
        sweep(ranks[::-1], after)
    for _ in range(_SWEEPS):
        sweep(ranks, before, after)
        sweep(ranks[::-1], before, after)


def _settle(row: list[Vertex], wanted: Callable[[Vertex], tuple[float, float]]) -> None:
    """Move the vertices of a rank as near to where they are wanted as their order and breadths allow.

    That is isotonic regression, solved by pooling adjacent violators.
    """
    pools: list[tuple[float, float, int]] = []  # mean, weight, how many
    offset, offsets, last = 0.0, [], None
    for each in row:
        offset += 0.0 if last is None else (last.breadth + each.breadth) / 2 + _APART
        offsets.append(offset)
        place, weight = wanted(each)
        mean, count, last = place - offset, 1, each
        while pools and pools[-1][0] > mean:
            earlier, heavy, more = pools.pop()
            mean = (earlier * heavy + mean * weight) / (heavy + weight)
            weight, count = weight + heavy, count + more
        pools.append((mean, weight, count))
    means = [mean for mean, _, count in pools for _ in range(count)]
    for each, mean, offset in zip(row, means, offsets, strict=True):
        each.x = mean + offset


def _ports(links: list[Connection]) -> None:
    """Where links leave and arrive: towards where they go, and beside one another."""
    for end in (False, True):
        sides = defaultdict(list)
        for link in links:
            if (link.end if end else link.start) is None:
                sides[link.target if end else link.source].append(link)
        for vertex, found in sides.items():
            reach = _REACH * vertex.breadth
            aims = {link: link.route[-2 if end else 1].x - vertex.x for link in found}
            found.sort(key=lambda link: aims[link])
            apart = min(14.0, 2 * reach / max(len(found) - 1, 1))
            ports = [Vertex(breadth=apart - _APART, x=max(-reach, min(reach, aims[link]))) for link in found]
            _settle(ports, lambda port: (port.x, 1.0))
            for link, port in zip(found, ports, strict=True):
                place = max(-reach, min(reach, port.x))
                if end:
                    link.end = place
                else:
                    link.start = place
    for link in links:
        _straighten(link)


def _straighten(link: Connection) -> None:
    """Where both ends of a link to the next rank are free and nearly in line, put them in line."""
    start, end = link.source.x + (link.start or 0.0), link.target.x + (link.end or 0.0)
    if len(link.route) == 2 and 0 < abs(end - start) <= _NEARLY:
        ports = [((start + end) / 2 - each.x) for each in link.route]
        if all(abs(port) <= _REACH * each.breadth for port, each in zip(ports, link.route, strict=True)):
            link.start, link.end = ports


def _along(ranks: list[list[Vertex]], links: list[Connection]) -> Levels:
    """The ranks one after the other, further apart where links change sides."""
    aside: dict[int, float] = defaultdict(float)
    labelled = any(link.label for link in links)
    for link in links:
        for a, b in pairwise(link.route):
            start = a.x + (link.start or 0.0) * (a is link.source)
            end = b.x + (link.end or 0.0) * (b is link.target)
            aside[a.rank] = max(aside[a.rank], abs(end - start))
    begins, ends, at = [], [], 0.0
    for number, row in enumerate(ranks):
        begins.append(at)
        ends.append(at + max(each.length for each in row))
        for each in row:
            each.y = (begins[-1] + ends[-1] - each.length) / 2
        at = ends[-1] + max(_BESIDE_LABELS if labelled else _GAP, min(_WIDEST, 0.35 * aside[number]))
    breadth = max((each.x + each.breadth / 2 for row in ranks for each in row), default=0.0)
    return Levels(begins, ends, breadth)
