"""The leading placements drawn for the terminal: each as a small U-Net, with its figures and its loss curve."""

from __future__ import annotations

from collections.abc import Sequence

from rich.columns import Columns
from rich.console import Group, RenderableType
from rich.text import Text

from nas_attn.analysis import RankedPlacement, Ranking
from nas_attn.models.placement import NONE, Location, Placement, Stage
from nas_attn.record import TrialRecord
from nas_attn.wording.placements import shortened
from nas_attn.wording.rankings import gained, measured

N_DRAWN = 3
_NAME = 8
_POINTS = 24
_BARS = "▁▂▃▄▅▆▇█"
_NOTHING = "·"


def leaders(ranking: Ranking, records: Sequence[TrialRecord]) -> RenderableType:
    """The first placements of a ranking with attention, side by side."""
    rows = [row for row in ranking.rows if not row.is_plain][:N_DRAWN]
    return Columns([_card(row, ranking, records) for row in rows], padding=(0, 4))


def draw_placement(placement: Placement) -> list[str]:
    """A U-Net in lines: one level each with encoder, skip and decoder, and the bottleneck below.

    A location shows its kind of attention, shortened if it is long; a dot means no attention.
    """
    kinds = {location: spec.kind for location, spec in placement if spec != NONE}
    depth = sum(location.stage is Stage.ENCODER for location, _ in placement)

    def shown(stage: Stage, level: int = 0) -> str:
        return shortened(kinds.get(Location(stage, level), _NOTHING), _NAME)

    lines = [
        f"{level}  {shown(Stage.ENCODER, level):>{_NAME}} ─ {shown(Stage.SKIP, level):^{_NAME}} ─ "
        f"{shown(Stage.DECODER, level):<{_NAME}}"
        for level in range(depth)
    ]
    return [*lines, f"{'└':>{_NAME + 3}}─ {shown(Stage.BOTTLENECK):^{_NAME}} ─┘"]


def sparkline(values: Sequence[float], width: int = _POINTS) -> str:
    """Values as a row of bars, with the lowest bar for the smallest value. More values than columns are thinned.

    Args:
        values: finite; no values give an empty text.
        width: maximum number of columns.
    """
    if not values:
        return ""
    number = min(len(values), width)
    last = max(number - 1, 1)
    thinned = [values[round(index * (len(values) - 1) / last)] for index in range(number)]
    low, high = min(thinned), max(thinned)
    scale = (len(_BARS) - 1) / (high - low) if high > low else 0.0
    return "".join(_BARS[round((value - low) * scale)] for value in thinned)


def _card(row: RankedPlacement, ranking: Ranking, records: Sequence[TrialRecord]) -> RenderableType:
    figures = [f"#{row.rank}  {row.placement.id}"]
    if row.gain is not None:
        known = f" (measured {measured(row)})" if row.tested else ""
        figures.append(f"{gained(row)} {ranking.metric.word} points{known}")
    if row.front_probability is not None:
        figures.append(f"on the Pareto front: {row.front_probability:.0%}")
    if curve := sparkline(_losses(row, ranking, records)):
        figures.append(f"loss {curve}")
    head, *others = figures
    drawn = [Text(line, no_wrap=True) for line in draw_placement(row.placement)]
    return Group(Text(head, style="bold"), *drawn, *(Text(line, no_wrap=True) for line in others))


def _losses(row: RankedPlacement, ranking: Ranking, records: Sequence[TrialRecord]) -> list[float]:
    """The training loss of the placement's first run."""
    curves = (
        record.outcome.curve
        for record in records
        if record.placement == row.placement and record.budget == ranking.budget and record.outcome is not None
    )
    return [point.loss for point in next((curve for curve in curves if curve), ())]
