"""What a study found, drawn: a placement as a picture, a study as a page."""

from __future__ import annotations

from nas_attn.report.dashboard import dashboard_figures, drawing_path, study_note, trial_note
from nas_attn.report.drawing import draw_unet
from nas_attn.report.facts import AddedCost, Panel, Panels, Picture, StudyFacts
from nas_attn.report.page import report_page

__all__ = [
    "AddedCost",
    "Panel",
    "Panels",
    "Picture",
    "StudyFacts",
    "dashboard_figures",
    "draw_unet",
    "drawing_path",
    "report_page",
    "study_note",
    "trial_note",
]
