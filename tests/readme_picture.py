"""``python tests/readme_picture.py``: the demo's report as a real Chromium shows it, for the README."""

from __future__ import annotations

import io
import sys
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT)]

from invariants.demo.show import show  # noqa: E402

PICTURE = ROOT / "fixtures" / "demo.png"
CHROMIUM = "/usr/bin/chromium"
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
SIZE = {"width": 1100, "height": 1280}
COLOURS = 128


def picture() -> bytes:
    """Who lost the money, as a PNG of few colours."""
    with tempfile.TemporaryDirectory() as room, sync_playwright() as started:
        show(Path(room) / "demo")
        browser = started.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = browser.new_page(viewport=SIZE)
        page.goto((Path(room) / "demo" / "report.html").as_uri())
        page.get_by_role("heading", name="Who lost the money").evaluate("heading => heading.scrollIntoView()")
        page.wait_for_timeout(1500)
        shot = Image.open(io.BytesIO(page.screenshot()))
        browser.close()
    out = io.BytesIO()
    shot.convert("RGB").quantize(COLOURS).save(out, "PNG", optimize=True)
    return out.getvalue()


if __name__ == "__main__":
    PICTURE.write_bytes(picture())
