"""The content of a report, as plain values."""

from __future__ import annotations

from dataclasses import dataclass

from nas_attn.analysis import RankedPlacement, Ranking
from nas_attn.analysis.effects import StudyEffects
from nas_attn.analysis.verdict import StudyVerdict
from nas_attn.analysis.verification import Verification
from nas_attn.models.described_network import Network
from nas_attn.models.placement import AttentionSpec, Location
from nas_attn.record import TrialRecord


@dataclass(frozen=True)
class AddedCost:
    """The cost that an attention adds at a location.

    Args:
        location: the location.
        spec: the attention.
        parameters: trainable parameters that it adds.
        macs: that it adds to the forward pass of one image.
    """

    location: Location
    spec: AttentionSpec
    parameters: int
    macs: int


@dataclass(frozen=True)
class Picture:
    """One picture of a panel.

    Args:
        caption: short, such as ``truth``.
        words: a description for people who cannot see it.
        png: the file's contents.
    """

    caption: str
    words: str
    png: bytes


@dataclass(frozen=True)
class Panel:
    """One image with its true masks, the predictions of the networks and their attention maps.

    Args:
        image: its name in the data set.
        why: ``worst``, ``median`` or ``best``.
        iou_winner: IoU of the winner on this image alone.
        iou_baseline: likewise, of the baseline.
        pictures: side by side.
    """

    image: str
    why: str
    iou_winner: float
    iou_baseline: float
    pictures: tuple[Picture, ...]


@dataclass(frozen=True)
class Panels:
    """Predictions on some images.

    Args:
        notes: which networks these are, and what the pictures show; one sentence each.
        classes: (name, colour as ``#rrggbb``) of every class that is drawn.
        panels: the images.
    """

    notes: tuple[str, ...]
    classes: tuple[tuple[str, str], ...]
    panels: tuple[Panel, ...]


@dataclass(frozen=True)
class StudyFacts:
    """The content of a report.

    Args:
        study: its name.
        network: the U-Net without attention.
        records: all trials, by number.
        verdict: the study's answer, with the ranking of these trials.
        effects: of each attention at each location; None if they are not known.
        added_costs: cost that each choice of the space adds at its location; empty if it is not known.
        plain_curve: (steps, IoU) of the baseline at growing budgets, ascending.
        plain_curve_text: the same in words; empty if nothing is known.
        settings: (name, text) pairs: how the study was made.
        data: (name, text) pairs: the data of the study.
        commands: that repeat and continue the study, each with its purpose.
        verifications: of placements of the study, with fresh seeds on the test data.
        panels: predictions; None if there are none.
        remarks: remarks about the page, one sentence each.
        classes: names in the order of their indices; empty if they are not known.
    """

    study: str
    network: Network
    records: tuple[TrialRecord, ...]
    verdict: StudyVerdict
    effects: StudyEffects | None = None
    added_costs: tuple[AddedCost, ...] = ()
    plain_curve: tuple[tuple[int, float], ...] = ()
    plain_curve_text: str = ""
    settings: tuple[tuple[str, str], ...] = ()
    data: tuple[tuple[str, str], ...] = ()
    commands: tuple[tuple[str, str], ...] = ()
    verifications: tuple[Verification, ...] = ()
    panels: Panels | None = None
    remarks: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()

    @property
    def ranking(self) -> Ranking:
        """The ranking of these trials."""
        return self.verdict.ranking

    @property
    def leading(self) -> RankedPlacement | None:
        """The first placement with attention, otherwise the baseline; None if nothing is ranked."""
        rows = self.ranking.rows
        return next((row for row in rows if not row.is_plain), rows[0] if rows else None)
