"""Where a number that isn't finite came from: the step once more, shard by shard and operation by operation."""

from __future__ import annotations

from distnn.train.accumulate import Accumulation
from distnn.train.step import Step


def diagnose(step: Step, window: int) -> str:
    """What first made an infinite number or NaN in the epoch's ``window``-th step, and on which rank; empty if unknown.

    Every rank has to call it, before the next step. A model that sums over the ranks in mid-forward is not looked at.
    """
    world = step.world
    causes = world.allgather("" if step.model.exchanges else _own(step.accumulation, window))
    return next(
        (f"{text}, on rank {rank} (host {world.hosts[rank]})" for rank, text in enumerate(causes) if text),
        "",
    )


def _own(accumulation: Accumulation, window: int) -> str:
    """What this rank's micro-shards made."""
    for piece in accumulation.pieces(window):
        plan = accumulation.model.training_plan(piece.positions.length, accumulation.parameters, keep=True)
        accumulation.fill(plan, piece)
        plan.forward()
        plan.backward()
        if text := plan.not_finite():
            return f"{text}, in micro-shard {piece.shard}"
    return ""
