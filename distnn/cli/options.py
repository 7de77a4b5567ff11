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
as_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
