"""Figures are part of their pages: an SVG's ink and palette then follow the page's theme, which an image's can't.

`{figure}` inlines a drawing whose name ends in .svg; `{panels}` shows several beside one another where there is space,
and below one another where there is none:

    ```{panels} ../figures/NN_a.svg ../figures/NN_b.svg
    :alt: What is seen.

    The caption.
    ```
"""

from __future__ import annotations

import html
import re
from pathlib import Path
from typing import ClassVar

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.transforms import SphinxTransform
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

logger = logging.getLogger(__name__)


def inlined(svg: str, prefix: str, attributes: str) -> str:
    """The element `svg` of a file with the given attributes, and with ``prefix`` before each of its ids.

    A style, by which a file by itself would follow the reader's theme, would hold for the whole page: it is left out.
    """
    start = svg.index("<svg")
    end = svg.index(">", start)
    kept = re.findall(r'\s(?!xmlns|version|role)([\w-]+="[^"]*")', svg[start:end])
    body = re.sub(r"<!--.*?-->|<(metadata|style)>.*?</\1>|^\s*<title>.*?</title>", "", svg[end + 1 :], flags=re.DOTALL)
    body = re.sub(r'(\sid="|href="#|url\(#)', rf"\g<1>{prefix}", body)
    body = re.sub(r">\s+<", "><", body.strip())
    return f"<svg {' '.join([*kept, attributes])}>{body}"


def drawing(env: BuildEnvironment, uri: str, place: nodes.Element, attributes: str) -> str:
    """The text that shows an SVG within the page; a warning, which ends the build, if it isn't there."""
    relative, absolute = env.relfn2path(uri)
    env.note_dependency(relative)
    if not Path(absolute).exists():
        logger.warning("figure not found: %s", relative, location=place)
        return ""
    number = env.temp_data["figures"] = env.temp_data.get("figures", 0) + 1
    return inlined(Path(absolute).read_text(encoding="utf-8"), f"figure{number}-", attributes)


def label(alt: str, place: nodes.Element) -> str:
    """The attributes by which readers who don't see a drawing know what it shows."""
    if not alt:
        logger.warning("a figure needs :alt:, which says what is seen", location=place)
    return f'role="img" aria-label="{html.escape(alt, quote=True)}"'


class Inline(SphinxTransform):
    """Puts the text of an SVG in the place of each image of one, before Sphinx collects images to copy them."""

    default_priority = 400

    def apply(self, **_: object) -> None:
        """Replace them."""
        for image in list(self.document.findall(nodes.image)):
            if image["uri"].endswith(".svg"):
                width = f' style="width: {image["width"]}"' if "width" in image else ""
                attributes = label(image.get("alt", ""), image) + width
                image.replace_self(nodes.raw("", drawing(self.env, image["uri"], image, attributes), format="html"))


class Panels(SphinxDirective):
    """Several drawings with one caption."""

    required_arguments = 1
    final_argument_whitespace = True
    has_content = True
    option_spec: ClassVar = {"alt": directives.unchanged_required}

    def run(self) -> list[nodes.Node]:
        """The figure."""
        figure = nodes.figure(classes=["panels"])
        self.set_source_info(figure)
        shown = [drawing(self.env, uri, figure, 'aria-hidden="true"') for uri in self.arguments[0].split()]
        row = f'<div class="row" {label(self.options.get("alt", ""), figure)}>{"".join(shown)}</div>'
        figure += nodes.raw("", row, format="html")
        if self.content:
            caption, *more = self.parse_content_to_nodes()
            figure += nodes.caption("", "", *caption.children)
            if more:
                figure += nodes.legend("", *more)
        return [figure]


def setup(app: Sphinx) -> dict[str, bool]:
    """Register with Sphinx."""
    app.add_transform(Inline)
    app.add_directive("panels", Panels)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
