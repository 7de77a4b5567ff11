"""``distnn sample``: text that a language model writes."""

from __future__ import annotations

import sys

import click

from distnn.cli import options
from distnn.cli.launch import alone
from distnn.report.output import show


@click.command(cls=options.Once)
@click.argument("checkpoint", type=options.NAME)
@click.option("--prompt", required=True, help="How the text begins.")
@click.option("--length", type=click.IntRange(min=0), default=400, help="How many characters to add.")
@click.option(
    "--temperature",
    type=click.FloatRange(min=0),
    default=0.8,
    help="1: the model's own probabilities; lower: less varied; 0: always the likeliest character.",
)
@click.option("--seed", type=click.IntRange(min=0), default=0, help="Seed of the random draws.")
@options.last
@options.trust_code
@alone
def sample(checkpoint: str, prompt: str, length: int, temperature: float, seed: int, last: bool) -> None:
    """Continue a text with CHECKPOINT, a language model.

    CHECKPOINT is a file, a link such as `latest`, or a run's folder: its best checkpoint, or the latest with --last.

    \b
    Example:
      distnn sample runs/bible-lstm --prompt "In the beginning" --length 400 --temperature 0.8
    """
    from distnn.inference.load import restore
    from distnn.parallel.communicator import Communicator

    restored = restore(checkpoint, Communicator(), last=last)
    text = restored.write(prompt, length, temperature=temperature, seed=seed)
    show(restored.origin, sys.stderr)
    # A reader that has had enough (``| head``) ends it.
    if all(show(piece, end="") for piece in text):
        show("")
