"""The directive that ends a page of the lecture: its script, folded, how to run it, and what it prints.

```{script} 02_logistic_regression.py
```
"""

from __future__ import annotations

import run_all
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective


def code(text: str, language: str) -> nodes.literal_block:
    """A block of code in a language."""
    return nodes.literal_block(text, text, language=language)


def folded(title: str, *inside: nodes.Node) -> list[nodes.Node]:
    """What is shown when the reader clicks on its title."""
    head = f'<details class="folded"><summary>{title}</summary>'
    return [nodes.raw("", head, format="html"), *inside, nodes.raw("", "</details>", format="html")]


class Script(SphinxDirective):
    """A script of docs/examples, by its name."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """The command, and what is folded."""
        script = run_all.EXAMPLES / self.arguments[0]
        printed = run_all.FIGURES / f"{script.stem}.txt"
        texts = []
        for path in (script, printed):
            self.env.note_dependency(str(path))
            if not path.exists():
                raise self.error(f"there is no {path}")
            texts.append(path.read_text(encoding="utf-8"))
        return [
            code(f"python docs/examples/{script.name} figures", "sh"),
            *folded(f"The script, {len(texts[0].splitlines())} lines", code(texts[0], "python")),
            *folded("What it prints", code(texts[1], "text")),
        ]


def setup(app: Sphinx) -> dict[str, bool]:
    """Register with Sphinx."""
    app.add_directive("script", Script)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
