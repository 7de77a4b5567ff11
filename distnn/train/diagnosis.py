"""Where a number that isn't finite came from: the step once more, shard by shard and operation by operation."""

from __future__ import annotations

from distnn.train.step import Step


def diagnose(step: Step, window: int) -> str:
    """What first made an infinite number or NaN in the epoch's ``window``-th step, and on which rank; empty if unknown.

    Every rank has to call it, before the next step. A model that sums over the ranks in mid-forward is not looked at.
    """
    world = step.world.comm
    found = world.allgather("" if step.model.exchanges else _own(step, window))
    return next(
        (f"{text}, on rank {rank} (host {world.hosts[rank]})" for rank, text in enumerate(found) if text),
        "",
    )


def _own(step: Step, window: int) -> str:
    """What this rank's micro-shards made."""
    for piece in step.pieces(window):
        plan = step.model.training_plan(piece.positions.length, step.parameters, keep=True)
        step.fill(plan, piece)
        plan.forward()
        plan.backward()
        if text := plan.not_finite():
            return f"{text}, in micro-shard {piece.shard}"
    return ""
