"""The plain U-Net's curve on the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.text import Text

if TYPE_CHECKING:
    from nas_attn.study.convergence import Convergence


def convergence_text(curve: Convergence) -> Text:
    """The curve in words; a warning where the search's budget is too short."""
    return Text(curve.words, style="yellow" if curve.converged is False else "")
