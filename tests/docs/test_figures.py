"""The figures' palette: seen on a light and on a dark page, and told apart by readers who are colour-blind."""

from __future__ import annotations

import ast
import re
import sys
import xml.etree.ElementTree
from pathlib import Path

import numpy as np
import pytest

from distnn.arrays import Array

DOCS = Path(__file__).parents[2] / "docs"
PAPER = {"LIGHT": "#ffffff", "DARK": "#131416"}  # the theme's
#: Linear RGB as it is seen without the cones for long, middle or short waves. Machado, Oliveira and Fernandes, "A
#: Physiologically-based Model for Simulation of Color Vision Deficiency", 2009, for the severity 1.
SEEN = {
    "all": np.eye(3),
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}


def palette(name: str) -> dict[str, str]:
    """LIGHT or DARK of docs/conf.py."""
    tree = ast.parse((DOCS / "conf.py").read_text())
    (found,) = (node.value for node in tree.body if isinstance(node, ast.Assign) and ast.unparse(node.targets) == name)
    return ast.literal_eval(found)


def linear(colours: list[str]) -> Array:
    """The light of colours such as #0d58b5, (colours, 3)."""
    sRGB = np.array([[int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)] for colour in colours])
    return np.where(sRGB <= 0.04045, sRGB / 12.92, ((sRGB + 0.055) / 1.055) ** 2.4)


def contrast(colours: list[str], paper: str) -> Array:
    """The contrast ratios of WCAG 2."""
    light = linear([*colours, paper]) @ [0.2126, 0.7152, 0.0722] + 0.05
    return np.maximum(light[:-1], light[-1]) / np.minimum(light[:-1], light[-1])


def oklab(light: Array) -> Array:
    """Björn Ottosson's Oklab, in which distances are about as large as they are seen."""
    cones = light @ np.array(
        [
            [0.4122214708, 0.2119034982, 0.0883024619],
            [0.5363325363, 0.6806995451, 0.2817188376],
            [0.0514459929, 0.1073969566, 0.6299787005],
        ]
    )
    return np.cbrt(cones) @ np.array(
        [
            [0.2104542553, 1.9779984951, 0.0259040371],
            [0.7936177850, -2.4285922050, 0.7827717662],
            [-0.0040720468, 0.4505937099, -0.8086757660],
        ]
    )


@pytest.mark.parametrize("theme", ["LIGHT", "DARK"])
def test_the_palette_is_seen_on_the_page(theme: str) -> None:
    """4.5 for what is text too, 3 for lines and marks."""
    colours = palette(theme)
    assert (contrast([colours["blue"], colours["red"]], PAPER[theme]) >= 4.5).all()
    assert (contrast(list(colours.values()), PAPER[theme]) >= 3).all()


@pytest.mark.parametrize("seen", SEEN)
@pytest.mark.parametrize("theme", ["LIGHT", "DARK"])
def test_the_palette_is_told_apart_with_any_cones(theme: str, seen: str) -> None:
    """At least by 0.12, and grey from the others by 0.08; that of Okabe and Ito, five colours, comes to 0.076."""
    colours = oklab(np.clip(linear(list(palette(theme).values())) @ np.transpose(SEEN[seen]), 0, 1))
    apart = np.linalg.norm(colours[:, None] - colours, axis=-1) + 9 * np.eye(len(colours))
    assert list(palette(theme))[-1] == "grey"
    assert apart[:-1, :-1].min() > 0.12
    assert apart.min() > 0.08


def test_scripts_style_and_pages_have_one_palette() -> None:
    colours = palette("LIGHT")
    script = (DOCS / "examples" / "lecture.py").read_text()
    (names, values) = re.findall(r'^([A-Z, ]+) = ("#.*")$', script, flags=re.MULTILINE)[0]
    assert dict(zip(names.lower().split(", "), ast.literal_eval(values), strict=True)) == colours
    cycle = re.findall(r"^axes.prop_cycle: .*", (DOCS / "examples" / "lecture.mplstyle").read_text(), re.MULTILINE)[0]
    assert re.findall("[0-9a-f]{6}", cycle) == [value[1:] for value in colours.values()]
    css = (DOCS / "static" / "site.css").read_text()
    themed = re.findall(r'svg \[(\w+)="(#\w{6})"\] \{\s*(\w+): var\(--figure-(\w+)\);', css)
    assert sorted(themed) == sorted(
        (of, value, of, name) for name, value in colours.items() for of in ("fill", "stroke")
    )


def test_a_saved_figure_has_no_style_and_no_background(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("matplotlib")
    monkeypatch.syspath_prepend(DOCS / "examples")
    monkeypatch.delitem(sys.modules, "lecture", raising=False)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    from matplotlib import pyplot

    with pyplot.rc_context():
        import lecture

        figure, axes = pyplot.subplots(figsize=(3, 2))
        axes.plot([1, 2], color=lecture.RED, label="a line")
        axes.legend()
        lecture.save(figure, tmp_path / "a.svg")
    text = (tmp_path / "a.svg").read_text()
    root = xml.etree.ElementTree.fromstring(text)
    assert not re.search("<style|style=", text)
    assert root.get("fill") == "#000000" and 'stroke="#bd1e11"' in text
    assert set(re.findall('fill="([^"]*)"', text)) == {"#000000", "none"}


def test_inlined_drawings_share_no_ids(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("sphinx")
    monkeypatch.syspath_prepend(DOCS / "extensions")
    import figures

    svg = (
        '<?xml version="1.0"?>\n<!-- by hand -->\n<svg xmlns="" width="9pt" viewBox="0 0 9 9" version="1.1">\n'
        '<title>a title</title><style>* {fill: red}</style><defs>\n<path id="p" d="M 0 0"/></defs>\n'
        '<use xlink:href="#p" fill="#0d58b5"><title>5</title></use><g clip-path="url(#p)"/></svg>\n'
    )
    assert figures.inlined(svg, "figure7-", 'role="img"') == (
        '<svg width="9pt" viewBox="0 0 9 9" role="img"><defs><path id="figure7-p" d="M 0 0"/></defs>'
        '<use xlink:href="#figure7-p" fill="#0d58b5"><title>5</title></use><g clip-path="url(#figure7-p)"/></svg>'
    )
