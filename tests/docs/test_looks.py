"""The built pages in a real Chromium: nothing scrolls sideways on a phone, and figures are seen, in light and in dark.

That there is no error in the console and no request to the network is checked by `open_page`.
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.docs.conftest import DOCS, Open

PAGES = sorted(str(path.relative_to(DOCS).with_suffix("")) for path in [*DOCS.glob("*.md"), *DOCS.glob("lecture/*.md")])
PAGES += ["generated/command_line", "generated/run_file"]
#: How far the page, and what scrolls with it, reaches beyond the screen.
BEYOND = """() => Math.max(...[document.documentElement, document.querySelector(".content")]
    .map(element => element.scrollWidth - element.clientWidth))"""
#: The height in pixels of each text in a figure, and words to find it by; without the gallery's small pictures.
#: matplotlib draws text as outlines, for a font of 100, in a group that is scaled.
TEXTS = """() => [...document.querySelectorAll("figure svg")].flatMap(svg => {
    if (!svg.getClientRects().length || svg.closest(".card")) return [];
    const size = element => { const m = element.getScreenCTM(); return Math.sqrt(Math.abs(m.a * m.d - m.b * m.c)) };
    const texts = [...svg.querySelectorAll("text")].map(text =>
        [parseFloat(getComputedStyle(text).fontSize) * size(text), text.textContent]);
    const outlines = [...svg.querySelectorAll('g[id*="text_"] > g[transform*="scale"]')].map(group =>
        [100 * size(group), svg.getAttribute("aria-label") || svg.parentElement.getAttribute("aria-label")]);
    return [...texts, ...outlines];
})"""
#: The contrast of each colour in figures with the page, and the attribute that has it; without what is transparent.
CONTRASTS = """() => {
    const numbers = colour => colour.match(/[\\d.]+/g).map(Number);
    const light = colour => numbers(colour).slice(0, 3).map(c => c / 255)
        .map(c => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
        .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0.05);
    const paper = getComputedStyle(document.body).backgroundColor;
    const found = {};
    for (const element of document.querySelectorAll("figure svg *")) {
        const style = getComputedStyle(element);
        for (const of of ["fill", "stroke"]) {
            if (!element.matches("path, use, text, rect, circle") || element.closest("defs, clipPath")) continue;
            if (Math.min(style.opacity, style[of + "Opacity"]) < 0.6) continue;
            if (!style[of].startsWith("rgb(") || style[of] === paper) continue;
            const [a, b] = [light(style[of]), light(paper)];
            found[style[of]] = [Math.max(a, b) / Math.min(a, b), element.getAttribute(of) || "of the text around"];
        }
    }
    return Object.values(found);
}"""


@pytest.mark.parametrize("name", PAGES)
def test_a_page_on_a_phone_in_light_and_dark(name: str, open_page: Open) -> None:
    page: Any = open_page(name, color_scheme="light")
    assert page.evaluate(BEYOND) <= 0
    assert [text for text in page.evaluate(TEXTS) if text[0] < 9] == []
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        assert [colour for colour in page.evaluate(CONTRASTS) if colour[0] < 3] == [], scheme
    page.set_viewport_size({"width": 1024, "height": 900})
    assert page.evaluate(BEYOND) <= 0
