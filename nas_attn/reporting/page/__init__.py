"""The report page of a study, with drawings of placements."""

from __future__ import annotations

from nas_attn.reporting.page.dashboard import (
    chart_id,
    dashboard_figures,
    dashboard_style,
    drawing_path,
    study_note,
    trial_note,
)
from nas_attn.reporting.page.drawing import draw_unet, unet_image
from nas_attn.reporting.page.facts import AddedCost, Panel, Panels, Picture, StudyFacts
from nas_attn.reporting.page.page import report_page

__all__ = [
    "AddedCost",
    "Panel",
    "Panels",
    "Picture",
    "StudyFacts",
    "chart_id",
    "dashboard_figures",
    "dashboard_style",
    "draw_unet",
    "drawing_path",
    "report_page",
    "study_note",
    "trial_note",
    "unet_image",
]
