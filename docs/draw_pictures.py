"""The picture of README, from a study:  python docs/draw_pictures.py STUDY

The first screen of its report, taken by a headless Chromium: pip install 'nas-attn[browser]'.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

from nas_attn.cli.main import main as nas_attn

PICTURE = Path(__file__).parent / "pictures" / "report.png"
WIDTH, HEIGHT = 1100, 900


def draw(study: str, picture: Path) -> None:
    """Write the report of a study, and its first screen as a picture."""
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder, "report.html")
        if nas_attn(["report", study, "-o", str(page), "--no-panels"]):
            raise SystemExit(2)
        picture.parent.mkdir(exist_ok=True)
        _photograph(page, picture)


def _photograph(page: Path, picture: Path) -> None:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=os.environ.get("CHROMIUM"), args=["--no-sandbox"])
        tab = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT}, color_scheme="light")
        tab.goto(page.as_uri())
        tab.wait_for_selector("html[data-ready=yes]", state="attached")
        section = tab.locator("section").nth(0)
        box = section.bounding_box() or {"y": 0.0, "height": float(HEIGHT)}
        height = box["y"] + box["height"] + 24
        tab.screenshot(path=picture, full_page=True, clip={"x": 0, "y": 0, "width": WIDTH, "height": height})
        browser.close()


if __name__ == "__main__":
    draw(sys.argv[1], PICTURE)
