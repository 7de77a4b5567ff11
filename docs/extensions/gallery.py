"""What the gallery of examples shows, taken from the examples themselves.

`{gallery}` has a card for each page of the lecture, with its title, its first figure and its first words; `{runs}` has
each run file in data/, with the words and the commands at its head.
"""

from __future__ import annotations

import html
import re
from dataclasses import dataclass
from pathlib import Path

from docutils import nodes
from figures import drawing
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

#: A page's title; its first sentence that begins a paragraph and has no formula; and its first figure.
TITLE = re.compile(r"^# (.+)$", re.MULTILINE)
SENTENCE = re.compile(r"(?<=\n\n)(?![#`:(|>-])([^$`]+?[.?!])(?=\s)")
FIGURE = re.compile(r"^```\{(?:figure|panels)\} (\S+\.svg)|^:figure: (\S+\.svg)$", re.MULTILINE)


@dataclass(frozen=True)
class Card:
    """What the gallery shows of a page."""

    name: str
    title: str
    sentence: str
    figure: str


def card(page: Path) -> Card:
    """The card of a page.

    Raises:
        ValueError: if the page lacks one of its parts.
    """
    text = page.read_text(encoding="utf-8")
    title, sentence, figure = TITLE.search(text), SENTENCE.search(text), FIGURE.search(text)
    if not title or not sentence or not figure:
        raise ValueError(f"{page} needs a title, a paragraph and a figure for its card in the gallery")
    words = re.sub(r"\[([^]]*)\]\([^)]*\)|\{\w+\}`([^`<]*)[^`]*`|[*$`]", r"\1\2", " ".join(sentence[1].split()))
    return Card(page.stem, title[1], words, figure[1] or figure[2])


class Gallery(SphinxDirective):
    """The cards."""

    def run(self) -> list[nodes.Node]:
        """One piece of HTML."""
        place = nodes.paragraph()
        self.set_source_info(place)
        text = []
        for page in sorted(Path(self.env.srcdir, "lecture").glob("*.md")):
            self.env.note_dependency(str(page.relative_to(self.env.srcdir)))
            shown = card(page)
            uri = f"/lecture/{shown.figure}".replace("/lecture/../", "/")
            picture = drawing(self.env, uri, place, 'aria-hidden="true"')
            text.append(
                f'<a class="card" href="lecture/{shown.name}.html"><figure>{picture}</figure>'
                f"<strong>{html.escape(shown.title)}</strong><span>{html.escape(shown.sentence)}</span></a>"
            )
        return [nodes.raw("", f'<div class="gallery">{"".join(text)}</div>', format="html")]


class Runs(SphinxDirective):
    """The run files in data/."""

    def run(self) -> list[nodes.Node]:
        """The words of each, and its commands."""
        shown: list[nodes.Node] = []
        for path in sorted(Path(self.env.srcdir).parent.glob("data/*.toml")):
            self.env.note_dependency(str(path))
            head = [line.removeprefix("#") for line in path.read_text(encoding="utf-8").split("\n\n")[0].splitlines()]
            words = " ".join(line.strip() for line in head if not line.startswith("   ")).strip()
            commands = "\n".join(line.strip() for line in head if line.startswith("   "))
            name = nodes.paragraph("", "", nodes.literal("", f"data/{path.name}"), nodes.Text(f": {words}"))
            shown += [name, nodes.literal_block(commands, commands, language="text")]
        return shown


def setup(app: Sphinx) -> dict[str, bool]:
    """Register with Sphinx."""
    app.add_directive("gallery", Gallery)
    app.add_directive("runs", Runs)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
