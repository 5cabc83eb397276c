"""Words for which there is little room."""

from __future__ import annotations


def shortened(text: str, letters: int) -> str:
    """A text of at most so many letters, with an ellipsis in place of what is cut off."""
    return text if len(text) <= letters else f"{text[: letters - 1]}…"
