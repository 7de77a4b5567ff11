"""``distnn sample``: text that a language model writes."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator

import click


@click.command()
@click.argument("checkpoint")
@click.option("--prompt", required=True, help="How the text begins.")
@click.option(
    "--length", type=click.IntRange(min=0), default=400, show_default=True, help="How many characters to add."
)
@click.option(
    "--temperature",
    type=click.FloatRange(min=0),
    default=0.8,
    show_default=True,
    help="1: as the model expects; lower: surer of itself; 0: always the likeliest character.",
)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Another seed, another text.")
def sample(checkpoint: str, prompt: str, length: int, temperature: float, seed: int) -> None:
    """Let CHECKPOINT (a file, `latest`, or a run's folder), a language model, go on with a text.

    \b
    Example:
      distnn sample runs/bible-lstm --prompt "In the beginning" --length 400 --temperature 0.8
    """
    from distnn.inference.load import restore
    from distnn.parallel.world import World
    from distnn.supervision.guard import guarded

    world = World.open()
    with guarded(world):
        text = restore(checkpoint, world.comm).write(prompt, length, temperature=temperature, seed=seed)
        if world.comm.root:
            _print(text)


def _print(text: Iterator[str]) -> None:
    """Print piece by piece; a reader that has had enough (``| head``) ends it."""
    encoding = sys.stdout.encoding or "utf-8"
    try:
        for piece in text:
            print(piece.encode(encoding, "backslashreplace").decode(encoding), end="", flush=True)
        print(flush=True)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python flushes once more at its exit
