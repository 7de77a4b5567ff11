"""The built pages in a real Chromium, as readers see them: for tests of what a page shows and does.

They are built by ``sphinx-build docs docs/_build``, which takes longer than all tests of them; where they aren't, or
are out of date, or where there is no Chromium, such tests are skipped, and say what is missing. With
DISTNN_REQUIRE_PAGES set, as in .ci/run, they fail instead.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

DOCS = Path(__file__).parents[2] / "docs"
BUILT = DOCS / "_build"
REQUIRE = "DISTNN_REQUIRE_PAGES"
#: Opens a page, such as "lecture/08_computational_graphs"; keywords are those of Playwright's new_context.
Open = Callable[..., Any]


def lacking(reason: str) -> None:
    """Skip the test, or fail where it must run."""
    if os.environ.get(REQUIRE):
        pytest.fail(f"{REQUIRE} is set, and {reason}")
    pytest.skip(reason)


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """One browser for all tests."""
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        lacking("there is no Chromium; cure: apt-get install chromium")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        lacking("playwright is missing; cure: pip install '.[test]'")
    with sync_playwright() as playwright:
        # Root, as in a container, has no sandbox; the pages are our own.
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def open_page(chromium: Any) -> Iterator[Open]:
    """Opens pages as files; in the end nothing may have been asked of the network, and nothing gone wrong."""
    contexts, troubles = [], []

    def watch(page: Any) -> None:
        page.on("console", lambda message: troubles.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: troubles.append(str(error)))
        page.on("request", lambda request: troubles.append(request.url) if network(request.url) else None)

    def network(url: str) -> bool:
        return not url.startswith(("file:", "data:", "blob:"))

    def opened(name: str, width: int = 390, height: int = 900, **settings: Any) -> Any:
        built = fresh(name)
        contexts.append(chromium.new_context(viewport={"width": width, "height": height}, **settings))
        contexts[-1].set_default_timeout(10_000)
        page = contexts[-1].new_page()
        watch(page)
        page.goto(built.as_uri())
        return page

    yield opened
    for context in contexts:
        context.close()
    assert not troubles


def fresh(name: str) -> Path:
    """The built page of this name, if it is as new as what it was built from."""
    built, cure = BUILT / f"{name}.html", "cure: sphinx-build docs docs/_build"
    if not built.exists():
        lacking(f"docs/_build has no {name}.html; {cure}")
    if built.stat().st_mtime < (DOCS / f"{name}.md").stat().st_mtime:
        lacking(f"docs/_build's {name}.html is out of date; {cure}")
    for static in (DOCS / "static").rglob("*.*"):
        copy = BUILT / "_static" / static.relative_to(DOCS / "static")
        if not copy.exists() or copy.read_bytes() != static.read_bytes():
            lacking(f"docs/_build's {copy.name} is out of date; {cure}")
    return built
