"""The gallery has a card for each page of the lecture, with what the page begins with."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"
PAGES = sorted(DOCS.glob("lecture/*.md"))


@pytest.mark.parametrize("page", PAGES, ids=[page.stem for page in PAGES])
def test_a_page_has_what_its_card_shows(page: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("sphinx")
    monkeypatch.syspath_prepend(str(DOCS / "extensions"))
    for name in ("gallery", "figures"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    import gallery

    card = gallery.card(page)
    assert card.title.split(". ")[0] == str(int(page.stem[:2]))
    assert card.figure.startswith("../figures/")
    assert 20 < len(card.sentence) < 240
    assert not set("$`{}[]") & set(card.sentence)
