"""``distnn graph``: a drawing of the model that a run file describes."""

from __future__ import annotations

from pathlib import Path

import click

from distnn.cli import options
from distnn.cli.apart import foresee
from distnn.cli.launch import alone
from distnn.report.output import show


@click.command(cls=options.Once)
@options.run_file
@click.option("-o", "--output", type=options.PATH, help="model.svg, .png, .pdf or .dot; replaced if there.")
@options.overrides
@options.trust_code
@alone
def graph(run: Path, output: Path | None, overrides: tuple[str, ...]) -> None:
    """Draw the model that the run file RUN.toml describes, for the shapes of its data file.

    A box is a step of the computation: its layer, what it computes, its parameters, and its floating-point operations
    for one sample; N is the number of samples in a batch. Without -o the drawing's text is printed, in Graphviz's
    language DOT. Pictures need Graphviz's program dot (apt install graphviz); .dot files don't.

    \b
    Example:
      distnn graph data/digits.toml -o model.svg
      distnn graph data/digits.toml --set model.hidden='[256, 128]' -o model.png
      distnn graph data/digits.toml | dot -Tx11
    """
    from distnn import config
    from distnn.graph import draw
    from distnn.session import parts

    settings = config.read(run, overrides)
    foresee(settings.data.path, follow=settings.data.follow, description=settings.data.description())
    with config.located(run, overrides), parts.data_file(settings) as file:
        model = parts.model(settings, file)
    drawing = draw(model.loss, caption=f"{run.name}: {model.description}")
    if output is None:
        show(drawing.dot, end="")
    else:
        show(f"{model.description}: wrote {drawing.save(output)}")
