"""``distnn init``: a run file to start from."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click

from distnn import outputs
from distnn.cli import options
from distnn.cli.apart import foresee
from distnn.cli.launch import alone
from distnn.errors import DataError, UsageError
from distnn.report.output import show


@click.command(cls=options.Once)
@click.option("-o", "--output", metavar="RUN.toml", type=options.PATH, default="run.toml", help="The new run file.")
@click.option("--model", metavar="KIND", help="linear, logistic, softmax, mlp, convnet, resnet, fcn or char-lstm.")
@click.option("--data", metavar="FILE.h5", help="The data; model and batch are chosen for them.")
@alone
def init(output: Path, model: str | None, data: str | None) -> None:
    """Write a run file to start from, in which each setting stands with its meaning.

    Paths in a run file are taken from the directory that `distnn train` starts in.

    \b
    Example:
      distnn init --data images.h5
      distnn init --model resnet -o resnet.toml
    """
    if data is None:
        text, about = _anywhere(output, model or "mlp")
    else:
        text, about = _fitting(output, model, data)
    write_new(output, text, "-o")
    show(f"wrote {output}: {about}")


def _anywhere(output: Path, kind: str) -> tuple[str, str]:
    """A run file for data that aren't there yet, and what is said of it."""
    from distnn.cli.proposal import DATA, proposal
    from distnn.config.draft import draft

    path, command = DATA.get(kind, ("", ""))
    head = _head(output, command)
    text = draft(proposal(kind, path, None), head, f"--model {kind}")
    return text, f"{kind}, for data that `{command}` makes"


def _fitting(output: Path, kind: str | None, data: str) -> tuple[str, str]:
    """A run file for these data, and what is said of it.

    Raises:
        UsageError: if there are no such data, or they aren't for that kind of model.
    """
    from distnn import config
    from distnn.cli.proposal import model_for, proposal
    from distnn.config.draft import draft
    from distnn.data.file.guess import shown
    from distnn.report.words import count
    from distnn.session import parts

    foresee(data)
    guessed = _guessed(data)
    given = config.from_dict({"model": {"kind": "mlp"}} | _over({"data": {"path": data}}, guessed), "--data")
    with parts.data_file(given) as file:
        kind = kind or model_for(file)
        table = _over(proposal(kind, data, file), guessed)
        settings = config.from_dict(table, f"--model {kind}")
        parts.model(settings, file)
        parts.batch_size(settings, file)
        shape = " × ".join(map(str, file.sample_shape))
        about = f"{kind} for {file.task}, {count(file.count('train'), 'training sample')} of {shape or '1'} numbers"
        if guessed:
            about += f". Check what was guessed: {shown(guessed)}"
        for remark in file.remarks():
            about += f"\n{data}: {remark}"
    return draft(table, _head(output), f"--model {kind}"), about


def _guessed(data: str) -> dict[str, dict[str, Any]]:
    """What a run file has to say of data whose file doesn't say it, or that seem to stand the other way round.

    Raises:
        DataError: they can't be data, whatever a run file says.
    """
    from distnn.data import DataFile
    from distnn.data.file.guess import guess
    from distnn.data.file.joining import several

    try:
        with DataFile(data) as file:
            return {"data": {"x": {"layout": "channels_first"}}} if file.channels_first else {}
    except DataError:
        files = [file for _, file in several(Path(data))] or [Path(data)]
        if not files[0].is_file() or not (found := guess(files[0])):
            raise
        return found


def _over(table: dict[str, dict[str, Any]], more: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Sections with further keys."""
    return table | {name: table.get(name, {}) | keys for name, keys in more.items()}


def _head(output: Path, *before: str) -> list[str]:
    """The run file's first lines: the commands to type."""
    commands = [*before, f"mpiexec -n 2 distnn train {output}"]
    return [
        "Written by `distnn init`. To train:",
        "",
        *(f"  {command}" for command in commands),
        "",
        "Settings behind a # are at their defaults, or not set (...): take it away to change one.",
    ]


def write_new(path: Path, text: str, option: str) -> None:
    """Write a new file, which ``option`` of the command line has named.

    Raises:
        UsageError: if there is something of that name, or it can't be written.
    """
    if os.path.lexists(path):
        raise UsageError(f"{path} is there already; name a new file with {option}, or remove it.")
    outputs.write(path, text)
