"""Sentences in the head of an exported file."""

from __future__ import annotations

import textwrap

from nas_attn.export.python.expression import LINE


def paragraph(text: str, opening: str = "") -> str:
    """Text in lines, fit for a docstring.

    Args:
        text: on one line.
        opening: what stands before it on the first line, and is not returned.
    """
    filled = textwrap.fill(opening + escaped(text), LINE, break_long_words=False, break_on_hyphens=False)
    return filled.removeprefix(opening)


def escaped(text: str) -> str:
    """Text that neither ends a string nor is changed by one."""
    return text.replace("\\", "\\\\").replace('"', '\\"')
