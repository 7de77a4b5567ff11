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


class Pair(click.ParamType[tuple[str, str]]):
    """A text ``NAME=VALUE`` as a pair; the name may hold the sign itself."""

    name = "pair"

    def convert(
        self, value: str | tuple[str, str], param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, str]:
        """The two parts, without blanks around the second."""
        if isinstance(value, tuple):
            return value
        name, sign, text = value.rpartition("=")
        if not sign:
            self.fail(f"{value!r} has no '='; expected, for example, day=date.", param, ctx)
        return name, text.strip()


class Size(click.ParamType[tuple[int, int]]):
    """A width and a height, ``224x160``; one number for a square."""

    name = "size"

    def convert(
        self, value: str | tuple[int, int], param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, int]:
        """The two numbers."""
        if isinstance(value, tuple):
            return value
        parts = value.lower().replace("×", "x").split("x")
        if len(parts) > 2 or not all(part.isascii() and part.isdigit() and 0 < int(part) < 2**16 for part in parts):
            self.fail(f"{value!r} is not a size; expected a width and a height in pixels, such as 224x160.", param, ctx)
        return int(parts[0]), int(parts[-1])


class Once(click.Command):
    """A command whose options may be given once, unless they are lists: else the last would win in silence."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """As `click.Command` does."""
        with ctx.scope(cleanup=False):
            order = self.make_parser(ctx).parse_args(args=list(args))[2]
        for option in order:
            single = isinstance(option, click.Option) and not (option.multiple or option.is_flag or option.count)
            if single and sum(other is option for other in order) > 1:
                ctx.fail(f"{option.opts[-1]} is given twice; give it once.")
        return super().parse_args(ctx, args)


#: The type of what names a file or a folder, or of what may be another word, too.
PATH = Name(path_type=Path)
NAME = Name()

run_file = click.argument("run", metavar="RUN.toml", type=PATH)
overrides = click.option(
    "--set", "overrides", metavar="KEY=VALUE", multiple=True, help="Override a key; may be repeated."
)
last = click.option("--last", is_flag=True, help="Of a run's folder, take the latest checkpoint, not the best.")
split = click.option("--split", default="test", help="train, validation, test, or any group of DATA.")


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
