"""Writes formulas as MathML, which browsers render themselves, without scripts or downloads."""

from __future__ import annotations

import re

from docutils import nodes
from latex2mathml.converter import convert
from sphinx.application import Sphinx
from sphinx.writers.html5 import HTML5Translator

#: Names of functions, which browsers would take for products of letters, or for operators such as +.
NAMES = re.compile(
    r"(<mrow>)?<m[io]>(arg|cos|exp|ln|log|max|min|sin|softmax|tanh)</m[io]>(?=(<mo[^>]*>(?:[(\[]|&#x00028;))?)"
)


def mathml(formula: str, display: str) -> str:
    """A formula, with thin spaces around the names of functions, but none before a bracket."""

    def named(found: re.Match[str]) -> str:
        before, name, bracket = found.groups()
        left, right = ("0" if edge else "0.1667em" for edge in (before, bracket))
        return f'{before or ""}<mo form="prefix" lspace="{left}" rspace="{right}">{name}</mo>'

    return NAMES.sub(named, convert(formula, display=display))


def parts(formula: str) -> list[str]:
    """The formulas that stand beside one another, with a wide space between: on a phone there is no room for that."""
    found = formula.split(r"\qquad")
    whole = all(part.strip() and part.count("{") == part.count("}") and r"\begin" not in part for part in found)
    return found if whole else [formula]


def inline(writer: HTML5Translator, node: nodes.math) -> None:
    """Write a formula within a line."""
    writer.body.append(mathml(node.astext(), "inline"))
    raise nodes.SkipNode


def block(writer: HTML5Translator, node: nodes.math_block) -> None:
    """Write a formula on lines of its own."""
    formulas = "".join(mathml(part, "block") for part in parts(node.astext()))
    writer.body.append(f'<div class="math">{formulas}</div>')
    raise nodes.SkipNode


def setup(app: Sphinx) -> dict[str, bool]:
    """Register with Sphinx."""
    app.add_html_math_renderer("mathml", (inline, None), (block, None))
    app.config.html_math_renderer = "mathml"
    return {"parallel_read_safe": True, "parallel_write_safe": True}
