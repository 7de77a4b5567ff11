"""Names of files on the command line, and options that are given twice."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from distnn.cli.main import distnn as program
from tests.support.runs import distnn

VERBS = {
    "train": ["train", "run.toml", "--out=NAME"],
    "train a run file": ["train", "NAME"],
    "resume": ["train", "run.toml", "--resume=NAME"],
    "evaluate": ["evaluate", "NAME", "d.h5"],
    "evaluate on": ["evaluate", "run", "NAME"],
    "predict": ["predict", "run", "d.h5", "-o", "NAME"],
    "sample": ["sample", "NAME", "--prompt", "a"],
    "inspect": ["inspect", "NAME"],
    "compare": ["compare", "NAME"],
    "graph": ["graph", "run.toml", "--output=NAME"],
    "data": ["data", "digits", "--output=NAME"],
    "init": ["init", "-o", "NAME"],
}


@pytest.mark.parametrize("verb", VERBS)
def test_names_that_no_file_can_have_and_those_that_only_a_shell_expands(verb: str, tmp_path: Path) -> None:
    for name, words in (("~/x", "~ and $NAME are not expanded here"), ("a" * 300, "File name too long")):
        done = distnn(*(word.replace("NAME", name) for word in VERBS[verb]), cwd=tmp_path)
        assert done.returncode == 2, done
        assert done.stderr.startswith("distnn: error: "), done.stderr
        assert words in done.stderr
    assert not any(tmp_path.iterdir())


def commands(group: click.Group, *path: str) -> Iterator[tuple[list[str], click.Command]]:
    """All commands, with the words that call them."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if isinstance(command, click.Group):
            yield from commands(command, *path, name)
        elif command is not None:
            yield [*path, name], command


def test_no_command_takes_an_option_twice_unless_it_is_a_list() -> None:
    checked = 0
    for path, command in commands(program):
        for option in command.params:
            if isinstance(option, click.Option) and not (option.multiple or option.is_flag):
                given = [option.opts[-1], "1"] * 2
                result = CliRunner().invoke(program, [*path, *given])
                assert result.exit_code == 2 and f"{option.opts[-1]} is given twice; give it once." in result.output
                checked += 1
    assert checked > 40
    result = CliRunner().invoke(program, ["train", "absent.toml", "--set", "a=1", "--set", "b=1", "--quiet", "--quiet"])
    assert "twice" not in result.output
