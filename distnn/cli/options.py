"""The arguments and options that several verbs have."""

from __future__ import annotations

import os
from pathlib import Path

import click

from distnn.paths import unreachable


class Name(click.Path):
    """The name of a file or a folder, refused if there can be none, or if a shell should have expanded it.

    A shell leaves ``~`` as it is in ``--out=~/runs``.
    """

    def convert(
        self, value: str | os.PathLike[str], param: click.Parameter | None, ctx: click.Context | None
    ) -> str | bytes | os.PathLike[str]:
        """As `click.Path` does."""
        if why := unreachable(os.fspath(value)):
            self.fail(f"{os.fspath(value)[:200]}: {why}.", param, ctx)
        return super().convert(value, param, ctx)


#: The type of what names a file or a folder, or of what may be another word, too.
PATH = Name(path_type=Path)
NAME = Name()

run_file = click.argument("run", metavar="RUN.toml", type=PATH)
overrides = click.option(
    "--set", "overrides", metavar="KEY=VALUE", multiple=True, help="Override a key; may be repeated."
)
last = click.option("--last", is_flag=True, help="Of a run's folder, take the latest checkpoint, not the best.")
split = click.option("--split", default="test", help="train, validation or test.")


def _trust(context: click.Context, _: click.Parameter, trusted: bool) -> None:
    from distnn.registry import untrusted

    if not trusted:
        context.with_resource(untrusted())


trust_code = click.option(
    "--trust-code",
    is_flag=True,
    expose_value=False,
    callback=_trust,
    help="Import the Python code that the settings name (module:Class): you know who wrote them.",
)
follow = click.option(
    "--follow", is_flag=True, help="Read files of other folders as well, where the data file refers to them."
)
as_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
