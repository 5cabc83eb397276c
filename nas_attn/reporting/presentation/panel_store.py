"""Panels in a study's folder: one PNG file for each picture, and a JSON file that describes them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nas_attn.errors import StudyError
from nas_attn.own_folder import own_folder
from nas_attn.reporting.page import Panel, Panels, Picture
from nas_attn.whole_file import whole_file

_COLOUR = re.compile(r"#[0-9a-f]{6}", re.ASCII)
_FORMAT = 2
_INDEX = "panels.json"
_PICTURE = re.compile(r"\d+-[a-z]+-\d+\.png", re.ASCII)
"""File names that ``write_panels`` uses; only such files are deleted."""


def write_panels(panels: Panels, folder: Path, key: Mapping[str, Any]) -> None:
    """Store panels. The index is written last, so that an interrupted write is not mistaken for a complete one.

    Args:
        panels: to store.
        folder: for the files; it is marked as ours, and earlier panels in it are replaced.
        key: that identifies them, as plain values.
    Raises:
        StudyError: the folder cannot be written, or has files of others.
    """
    index: dict[str, Any] = {"format": _FORMAT, "key": dict(key), "notes": panels.notes, "classes": panels.classes}
    index["panels"] = []
    try:
        own_folder(folder, known=read_panels(folder) is not None)  # earlier versions did not mark it
        (folder / _INDEX).unlink(missing_ok=True)
        for old in folder.glob("*.png"):
            if _PICTURE.fullmatch(old.name):
                old.unlink()
        for number, panel in enumerate(panels.panels):
            names = [f"{number}-{panel.why}-{place}.png" for place in range(len(panel.pictures))]
            for name, picture in zip(names, panel.pictures, strict=True):
                (folder / name).write_bytes(picture.png)
            index["panels"].append(_plain(panel, names))
        with whole_file(folder / _INDEX) as part:
            part.write_text(json.dumps(index, indent=1), encoding="utf-8")
    except OSError as error:
        raise StudyError(f"{folder}: the prediction panels cannot be written: {error.strerror}") from None


def read_panels(folder: Path, key: Mapping[str, Any] | None = None) -> Panels | None:
    """Read stored panels; None if there are none, they have another key, or one of their files is missing.

    Args:
        folder: in which they were stored.
        key: that they must have; None accepts any.
    """
    try:
        index = json.loads((folder / _INDEX).read_text(encoding="utf-8"))
        if index["format"] != _FORMAT or (key is not None and index["key"] != json.loads(json.dumps(dict(key)))):
            return None
        return Panels(
            tuple(index["notes"]),
            tuple((str(name), _colour(colour)) for name, colour in index["classes"]),
            tuple(_panel(panel, folder) for panel in index["panels"]),
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _colour(text: str) -> str:
    """Check a colour. Raises ValueError for other texts, because it is written into the page's style."""
    if not _COLOUR.fullmatch(text):
        raise ValueError(f"{text!r} is not a colour")
    return text


def _plain(panel: Panel, names: list[str]) -> dict[str, Any]:
    pictures = [
        {"file": name, "caption": picture.caption, "words": picture.words}
        for name, picture in zip(names, panel.pictures, strict=True)
    ]
    return {
        "image": panel.image,
        "why": panel.why,
        "iou_winner": panel.iou_winner,
        "iou_baseline": panel.iou_baseline,
        "pictures": pictures,
    }


def _panel(values: Mapping[str, Any], folder: Path) -> Panel:
    pictures = tuple(
        Picture(picture["caption"], picture["words"], (folder / Path(picture["file"]).name).read_bytes())
        for picture in values["pictures"]
    )
    return Panel(values["image"], values["why"], values["iou_winner"], values["iou_baseline"], pictures)
