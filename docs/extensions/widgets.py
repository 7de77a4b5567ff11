"""The directive ``widget``: an interactive figure, which draws from the numbers that a script has recorded.

    ```{widget} graph_steps
    :data: ../figures/08_graph.json
    :figure: ../figures/08_graph.svg
    :alt: What is seen.

    Caption.
    ```

static/widgets/NAME.js draws it. There may be several figures, as in `{panels}`. The numbers are within the page, since
a page opened as a file may not read others. Without JavaScript the figure is seen, as it is until the widget is drawn.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, ClassVar

from docutils import nodes
from docutils.parsers.rst import directives
from figures import drawing, label
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

STATIC = Path(__file__).parents[1] / "static" / "widgets"
#: What all widgets share, loaded before any of them.
SHARED = "shared"


class Widget(SphinxDirective):
    """A figure whose picture is replaced by a widget where there is JavaScript."""

    required_arguments = 1
    has_content = True
    option_spec: ClassVar[dict[str, Any]] = {
        "data": directives.unchanged_required,
        "figure": directives.unchanged_required,
        "alt": directives.unchanged_required,
    }

    def run(self) -> list[nodes.Node]:
        """The figure, with the numbers and a place for the widget below the picture."""
        name = self.arguments[0]
        if missing := [option for option in self.option_spec if option not in self.options]:
            raise self.error(f"the widget {name} has no :{missing[0]}:")
        if not (STATIC / f"{name}.js").is_file():
            known = sorted(path.stem for path in STATIC.glob("*.js") if path.stem != SHARED)
            raise self.error(f"there is no widget {name}; docs/static/widgets has {', '.join(known)}")
        numbers = self.numbers(name)
        self.env.metadata[self.env.docname].setdefault("widgets", []).append(name)

        figure = nodes.figure(classes=["widget", "panels"])
        self.set_source_info(figure)
        drawings = [drawing(self.env, uri, figure, 'aria-hidden="true"') for uri in self.options["figure"].split()]
        still = f'<div class="row" {label(self.options["alt"], figure)}>{"".join(drawings)}</div>'
        live = f'<div class="widget-live" data-widget="{name}" hidden></div>'
        live += f'<script type="application/json">{numbers}</script>'
        figure += nodes.raw("", still + live, format="html")
        if self.content:
            figure += nodes.caption("", "", *self.parse_inline(" ".join(self.content))[0])
        return [figure]

    def numbers(self, name: str) -> str:
        """The recorded numbers, as they may stand within a page."""
        relative, absolute = self.env.relfn2path(self.options["data"])
        self.env.note_dependency(relative)
        try:
            found = json.loads(Path(absolute).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise self.error(
                f"the widget {name} can't read its numbers: {error}; lecture.record writes them in the page's script"
            ) from error
        return json.dumps(found, separators=(",", ":"), ensure_ascii=False).replace("<", r"\u003c")


def load(app: Sphinx, page: str, template: str, context: dict[str, Any], document: nodes.document | None) -> None:
    """Let a page load the scripts of its widgets."""
    used = app.env.metadata[page].get("widgets", []) if page in app.env.metadata else []
    if used:
        app.add_css_file("widgets/widgets.css")
        for name in [SHARED, *dict.fromkeys(used)]:
            app.add_js_file(f"widgets/{name}.js", loading_method="defer")


def setup(app: Sphinx) -> dict[str, bool]:
    """Register with Sphinx."""
    app.add_directive("widget", Widget)
    app.connect("html-page-context", load)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
