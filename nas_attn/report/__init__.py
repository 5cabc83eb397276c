"""What a study found, drawn: a placement as a picture, a study as a page."""

from __future__ import annotations

from nas_attn.report.drawing import draw_unet
from nas_attn.report.facts import AddedCost, Panel, Panels, Picture, StudyFacts
from nas_attn.report.page import report_page

__all__ = ["AddedCost", "Panel", "Panels", "Picture", "StudyFacts", "draw_unet", "report_page"]
