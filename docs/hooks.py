"""What mkdocs does to pages: it takes in files of the repository, and names what lies outside of the docs."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
_FILE = re.compile(r"(?m)^\{\{ (\S+\.md) \}\}$")
_LINK = re.compile(r"(?<!!)\[([^\]]+)\]\((?!https?:|#)([^)\s]+)\)")


def on_page_markdown(markdown: str, **_: Any) -> str:
    """A page with the files that it names, and without links that lead out of the docs."""
    return _LINK.sub(_inside, _FILE.sub(_taken, markdown))


def _taken(match: re.Match[str]) -> str:
    """A file of the repository; its links are then those of a page."""
    text = (ROOT / match[1]).read_text(encoding="utf-8")
    text = re.sub(r"(!?\[[^\]]*\]\()docs/", r"\1", text)
    return _LINK.sub(lambda link: link[0] if _is_page(link[2]) else f"[{link[1]}](../{link[2]})", text)


def _is_page(target: str) -> bool:
    return (ROOT / "docs" / target.partition("#")[0]).is_file()


def _inside(match: re.Match[str]) -> str:
    """A link within the docs; of what lies elsewhere in the repository, its name."""
    label, target = match[1], match[2]
    if not target.startswith("../"):
        return match[0]
    path = target.removeprefix("../")
    return label if label.strip("`") == path else f"{label} (`{path}` in the repository)"
