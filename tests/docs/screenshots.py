"""Pictures of all built pages, to look at: python -m tests.docs.screenshots FOLDER [PART-OF-A-NAME …]

Each page is shown 390, 1024 and 1600 pixels wide, in light and in dark: FOLDER/WIDTH-SCHEME/PAGE.png.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from tests.docs.conftest import BUILT


def main(folder: Path, parts: list[str]) -> None:
    """Take the pictures of the pages with one of the parts in their names, or of all."""
    from playwright.sync_api import sync_playwright

    pages = [path for path in sorted(BUILT.rglob("*.html")) if not parts or any(part in path.stem for part in parts)]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        for scheme in ("light", "dark"):
            page = browser.new_page(color_scheme=scheme)
            for path in pages:
                page.goto(path.as_uri())
                for width in (390, 1024, 1600):
                    page.set_viewport_size({"width": width, "height": 900})
                    page.screenshot(path=folder / f"{width}-{scheme}" / f"{path.stem}.png", full_page=True)
        browser.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
