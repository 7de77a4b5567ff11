"""The arguments and options that several verbs have."""

from __future__ import annotations

from pathlib import Path

import click

#: The type of what names a file or a folder.
PATH = click.Path(path_type=Path)

run_file = click.argument("run", metavar="RUN.toml", type=PATH)
overrides = click.option(
    "--set", "overrides", metavar="KEY=VALUE", multiple=True, help="Override a key; may be repeated."
)
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
as_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
