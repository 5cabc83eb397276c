"""What a study found, drawn: a placement as a picture, a study as a page."""

from __future__ import annotations

from nas_attn.report.drawing import draw_unet

__all__ = ["draw_unet"]
