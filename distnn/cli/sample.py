"""``distnn sample``: text that a language model writes."""

from __future__ import annotations

import click

from distnn.cli import options
from distnn.cli.launch import alone
from distnn.report.output import show


@click.command()
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
@options.trust_code
@alone
def sample(checkpoint: str, prompt: str, length: int, temperature: float, seed: int) -> None:
    """Continue a text with CHECKPOINT (a file, `latest`, or a run's folder), a language model.

    \b
    Example:
      distnn sample runs/bible-lstm --prompt "In the beginning" --length 400 --temperature 0.8
    """
    from distnn.inference.load import restore
    from distnn.parallel.communicator import Communicator

    text = restore(checkpoint, Communicator()).write(prompt, length, temperature=temperature, seed=seed)
    # A reader that has had enough (``| head``) ends it.
    if all(show(piece, end="") for piece in text):
        show("")
