"""Pages that are generated from the program itself, so that they are never out of date."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click
import run_file
from sphinx.application import Sphinx

from distnn.cli.main import distnn

WIDTH = 100


def command_line() -> str:
    """The page of the command line: the output of ``--help`` for each command."""
    text = "# Command line\n\n`distnn` and `python -m distnn` are the same. The texts are the output\n"
    text += "of `--help`.\n"
    for path, help_text in helps(distnn, context_of(distnn, "distnn")):
        text += f"\n{'#' * (1 + len(path.split()))} {path}\n\n```text\n{help_text.rstrip()}\n```\n"
    return text


def context_of(command: click.Command, name: str, parent: click.Context | None = None) -> click.Context:
    """The context of a command as click makes it, for help of a fixed width."""
    settings = {**command.context_settings, "terminal_width": WIDTH, "max_content_width": WIDTH}
    return click.Context(command, parent=parent, info_name=name, **settings)


def helps(command: click.Command, context: click.Context) -> Iterator[tuple[str, str]]:
    """The path and the help of a command, and of all its subcommands."""
    yield context.command_path, command.get_help(context)
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            assert inner is not None, f"{context.command_path} lists {name}, which doesn't exist"
            yield from helps(inner, context_of(inner, name, context))


def write_pages(app: Sphinx) -> None:
    """Write the pages that have changed; Sphinx doesn't rebuild the others."""
    folder = Path(app.srcdir) / "generated"
    folder.mkdir(exist_ok=True)
    for name, text in {"command_line.md": command_line(), "run_file.md": run_file.page()}.items():
        if not (folder / name).exists() or (folder / name).read_text(encoding="utf-8") != text:
            (folder / name).write_text(text, encoding="utf-8")


def setup(app: Sphinx) -> dict[str, bool]:
    """Register with Sphinx."""
    app.connect("builder-inited", write_pages)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
