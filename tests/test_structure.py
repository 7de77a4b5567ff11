"""How long functions, classes and modules are, and that no two public classes have one name.

    python tests/test_structure.py

prints where the package stands.
"""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "distnn"
#: The most lines of a function, from ``def`` on, without its docstring; the most arguments, ``self`` not counted; the
#: most attributes that a class assigns on ``self``; the most lines of a module.
LINES, ARGUMENTS, ATTRIBUTES, MODULE = 40, 9, 20, 400
#: A module of fewer lines is listed: it may belong to another.
SHORT = 40

Function = ast.FunctionDef | ast.AsyncFunctionDef


class Measure(NamedTuple):
    """A number, and of what."""

    number: int
    where: str

    def __str__(self) -> str:
        return f"{self.number:5}  {self.where}"


def modules() -> dict[str, tuple[str, ast.Module]]:
    """Every module's text and syntax tree, by its path."""
    texts = {str(path.relative_to(PACKAGE.parent)): path.read_text("utf-8") for path in sorted(PACKAGE.rglob("*.py"))}
    return {name: (text, ast.parse(text)) for name, text in texts.items()}


MODULES = modules()


def definitions(kind: type | tuple[type, ...]) -> Iterator[tuple[str, ast.AST]]:
    """Every definition of this kind, with its place."""
    for name, (_, tree) in MODULES.items():
        for node in ast.walk(tree):
            if isinstance(node, kind):
                yield f"{name}:{node.lineno} {node.name}", node


def lines(function: Function) -> int:
    """The lines of a function from ``def`` on, without its docstring."""
    first = function.body[0]
    documented = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
    docstring = first.end_lineno - first.lineno + 1 if documented and isinstance(first.value.value, str) else 0
    return function.end_lineno - function.lineno + 1 - docstring


def arguments(function: Function) -> int:
    """The arguments of a function but for ``self``, ``cls``, and the ``name`` that every layer's constructor takes."""
    named = function.args.posonlyargs + function.args.args + function.args.kwonlyargs
    others = [function.args.vararg, function.args.kwarg]
    without = {"self", "cls"} | ({"name"} if function.name == "__init__" else set())
    return sum(a is not None and a.arg not in without for a in [*named, *others])


def attributes(kind: ast.ClassDef) -> int:
    """The names that a class's methods assign on ``self``."""
    assigned = {
        node.attr
        for node in ast.walk(kind)
        if isinstance(node, ast.Attribute)
        and isinstance(node.ctx, ast.Store)
        and isinstance(node.value, ast.Name)
        and node.value.id == "self"
    }
    return len(assigned)


def functions_by_lines() -> list[Measure]:
    return sorted((Measure(lines(node), where) for where, node in definitions(Function)), reverse=True)


def functions_by_arguments() -> list[Measure]:
    return sorted((Measure(arguments(node), where) for where, node in definitions(Function)), reverse=True)


def classes_by_attributes() -> list[Measure]:
    return sorted((Measure(attributes(node), where) for where, node in definitions(ast.ClassDef)), reverse=True)


def modules_by_lines() -> list[Measure]:
    return sorted((Measure(len(text.splitlines()), name) for name, (text, _) in MODULES.items()), reverse=True)


def public_classes() -> dict[str, list[str]]:
    """The modules that define a public class of each name."""
    found = defaultdict(list)
    for name, (_, tree) in MODULES.items():
        for node in tree.body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                found[node.name].append(name)
    return found


def one_name_twice() -> dict[str, list[str]]:
    """Names of more than one public class, but for an op and the layer, loss or metric that has its name."""

    def pair(paths: list[str]) -> bool:
        packages = sorted(path.split("/")[1] for path in paths)
        return len(packages) == 2 and "ops" in packages and bool({"layers", "losses", "metrics"} & set(packages))

    return {name: paths for name, paths in public_classes().items() if len(paths) > 1 and not pair(paths)}


@pytest.mark.parametrize(
    ("measured", "most"),
    [
        (functions_by_lines, LINES),
        (functions_by_arguments, ARGUMENTS),
        (classes_by_attributes, ATTRIBUTES),
        (modules_by_lines, MODULE),
    ],
)
def test_nothing_is_longer_than_one_reads_at_a_sitting(measured, most):
    over = [str(measure) for measure in measured() if measure.number > most]
    assert not over, f"more than {most}:\n" + "\n".join(over)


def test_no_two_public_classes_have_one_name():
    assert not one_name_twice()


def in_the_locale(call: ast.Call) -> bool:
    """Whether a call reads or writes text in an encoding that it leaves to the machine."""
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    given = {keyword.arg: keyword.value for keyword in call.keywords}
    words = [arg.value for arg in call.args if isinstance(arg, ast.Constant)] + [
        getattr(given.get("mode"), "value", "")
    ]
    if "encoding" in given or any(isinstance(word, str) and "utf-8" in word for word in words):
        return False
    if name == "open":
        owner = getattr(getattr(call.func, "value", None), "id", "")
        binary = any(isinstance(word, str) and "b" in word and len(word) <= 3 for word in words)
        others = ("os", "World", "images", "h5a", "h5d", "h5g")  # Pillow's module, and h5py's, whose things aren't text
        return owner not in others and not binary
    method = isinstance(call.func, ast.Attribute)
    return (method and name in ("read_text", "write_text")) or (
        name in ("run", "Popen", "check_output") and "text" in given
    )


def test_text_files_are_in_utf8_whatever_the_locale():
    calls = [
        (name, node) for name, (_, tree) in MODULES.items() for node in ast.walk(tree) if isinstance(node, ast.Call)
    ]
    assert [f"{name}:{node.lineno}" for name, node in calls if in_the_locale(node)] == []


def report() -> None:
    for title, measured in (
        ("Lines of a function", functions_by_lines()),
        ("Arguments of a function", functions_by_arguments()),
        ("Attributes of a class", classes_by_attributes()),
        ("Lines of a module", modules_by_lines()),
    ):
        print(f"{title}:", *map(str, measured[:15]), "", sep="\n")
    print("Public classes of one name:", *(f"  {k}: {', '.join(v)}" for k, v in one_name_twice().items()), "", sep="\n")
    short = [measure for measure in reversed(modules_by_lines()) if measure.number < SHORT]
    print(f"Modules under {SHORT} lines: {len(short)}", *map(str, short), "", sep="\n")
    print(f"{len(MODULES)} files, {sum(measure.number for measure in modules_by_lines())} lines")


if __name__ == "__main__":
    report()
