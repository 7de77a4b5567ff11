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
@click.option("--neurons", is_flag=True, help="Draw circles and arrows, as SVG.")
@options.overrides
@options.trust_code
@alone
def graph(run: Path, output: Path | None, neurons: bool, overrides: tuple[str, ...]) -> None:
    """Draw the model that the run file RUN.toml describes, for the shapes of its data file.

    A box is a step of the computation: its layer, what it computes, its parameters, and its floating-point operations
    for one sample; N is the number of samples in a batch. Without -o the drawing's text is printed, in Graphviz's
    language DOT. .png and .pdf need Graphviz's program dot (apt install graphviz); .svg and .dot don't.

    With --neurons the network is drawn as circles and arrows: a column for each layer, a circle for each neuron, an
    arrow for each weight. Of long columns the first and the last circles are drawn; images are sheets, and a recurrent
    layer is a box whose output goes back to its input.

    \b
    Example:
      distnn graph data/digits.toml -o model.svg
      distnn graph data/digits.toml --set model.hidden='[256, 128]' -o model.png
      distnn graph data/digits.toml | dot -Tx11
      distnn graph data/digits.toml --neurons -o net.svg
    """
    from distnn import config
    from distnn.graph import draw, draw_neurons
    from distnn.session import parts

    settings = config.read(run, overrides)
    foresee(settings.data.path, follow=settings.data.follow, description=settings.data.description())
    with config.located(run, overrides), parts.data_file(settings) as file:
        model = parts.model(settings, file)
        features, targets = file.names("x"), model.classes or file.names("y")
    if neurons:
        if model.classes and model.prediction.shape[-1] == 1:
            targets = model.classes[1:]  # one neuron between two classes gives the probability of the second
        sketch = draw_neurons(model.prediction, inputs=features, outputs=targets)
        text, save = sketch.svg, sketch.save
    else:
        drawing = draw(model.loss, caption=f"{run.name}: {model.description}")
        text, save = drawing.dot, drawing.save
    if output is None:
        show(text, end="")
    else:
        show(f"{model.description}: wrote {save(output)}")
