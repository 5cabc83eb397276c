"""docs/architecture.md: the files that it names exist, and its walk is short."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
NAME = re.compile(r"`([\w/]+\.(?:py|yaml))`")
WALK = PAGE.split("## One placement")[1].split("## ")[0]


def found(name: str, row: str) -> bool:
    """From the project, from the package, or beside the file that the same row names first."""
    first = NAME.findall(row)[0]
    places = (ROOT, ROOT / "nas_attn", ROOT / Path(first).parent, ROOT / "nas_attn/strategy/samplers")
    return any((place / name).is_file() for place in places)


def test_every_file_that_the_page_names_exists() -> None:
    rows = [line for line in PAGE.splitlines() if NAME.search(line)]
    assert len(rows) > 10
    assert [name for row in rows for name in NAME.findall(row) if not found(name, row)] == []


def test_the_walk_of_one_placement_takes_at_most_twenty_five_files() -> None:
    assert 15 <= len(set(NAME.findall(WALK))) <= 25


def test_every_room_is_on_the_page() -> None:
    rooms = {path.name for path in (ROOT / "nas_attn").iterdir() if (path / "__init__.py").is_file()}
    assert [room for room in sorted(rooms) if f"`{room}`" not in PAGE] == []


def test_the_rooms_stand_in_the_order_that_is_enforced() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    layers = project["tool"]["importlinter"]["contracts"][0]["layers"]
    enforced = [part.strip().removeprefix("nas_attn.") for layer in layers for part in layer.split(":")]
    rows = re.findall(r"(?m)^\| (`\w+`.*?) \|", PAGE.split("## Rooms")[1].split("## ")[0])
    told = [name for row in rows for name in re.findall(r"`(\w+)`", row)]
    assert len(told) > 15
    assert told == [name for name in enforced if name in told]
