"""Sentences below a ranking: what was left out, what is not known, and what collapsed."""

from __future__ import annotations

from collections.abc import Sequence

from nas_attn.ranking.describe import counted, in_words, ranges
from nas_attn.ranking.evidence import Evidence
from nas_attn.ranking.gains import MOST_RUNS
from nas_attn.ranking.order import COSTS
from nas_attn.ranking.result import RankedPlacement

_FEW_GROUPS = 5
_MOST_NAMED = 3


def ranking_notes(rows: Sequence[RankedPlacement], cost: str, evidence: Evidence) -> list[str]:
    """Of a ranking; none where nothing is ranked.

    Args:
        rows: of the ranking.
        cost: its second axis.
        evidence: that it rests on.
    """
    if not rows:
        return []
    return [*_comparison(rows, evidence), *_collapses(rows, evidence), *_images(evidence), *_costs(rows, cost)]


def _comparison(rows: Sequence[RankedPlacement], evidence: Evidence) -> list[str]:
    notes = []
    if not any(row.is_plain for row in rows):
        notes.append("The plain U-Net was not evaluated at this budget: no differences to it are known.")
    elif apart := sum(row.delta is None for row in rows):
        notes.append(f"{apart} of {len(rows)} placements share no seed with the plain U-Net: no difference known.")
    if evidence.noise.pair is None:
        notes.append("No two placements share two seeds: the noise is not known, and so there are no intervals.")
    if unstable := sum(row.unstable for row in rows):
        notes.append(
            f"!  unstable: {unstable} of {len(rows)} placements scatter far more from seed to seed than the "
            "others; they are judged by their own scatter and left out of the pooled noise."
        )
    if evidence.n_runs > MOST_RUNS:
        notes.append(
            f"Gains rest on {MOST_RUNS:,} of {evidence.n_runs:,} runs: those of placements with several and the "
            "earliest others. Of the rest, what is expected follows from their attentions alone."
        )
    if any(row.fresh for row in rows):
        notes.append("Finalists are reported by their runs in the finals, whose seeds chose nothing.")
    return notes


def _collapses(rows: Sequence[RankedPlacement], evidence: Evidence) -> list[str]:
    notes = []
    if seeds := sorted(evidence.collapses.seeds):
        which = f"seed{'' if len(seeds) == 1 else 's'} {ranges(seeds)}"
        notes.append(f"The plain U-Net collapsed with {which}: nothing is compared under {_it(seeds)}.")
    collapsed = [row for row in rows if row.n_collapsed]
    named = [f"{in_words(row.placement)} in {row.n_collapsed} of {row.n_runs}" for row in collapsed[:_MOST_NAMED]]
    if named:
        more = len(collapsed) - len(named)
        others = f"; {counted(more, 'more placement')}" if more else ""
        notes.append(
            "Collapsed runs are no part of the IoU, but count against a placement in the order: "
            f"{'; '.join(named)}{others}."
        )
    return notes


def _images(evidence: Evidence) -> list[str]:
    """A warning where a class occurs in so few images that the intervals over images are too narrow."""
    groups, fewest = evidence.image_groups, evidence.fewest_groups_of_a_class
    if groups is None or fewest is None or fewest >= min(_FEW_GROUPS, groups):
        return []
    return [
        f"A class occurs in only {fewest} of {groups} groups of validation images: intervals over so few images "
        "are too narrow."
    ]


def _costs(rows: Sequence[RankedPlacement], cost: str) -> list[str]:
    missing = sum(COSTS[cost](row.cost) is None for row in rows)
    return [f"{missing} of {len(rows)} placements have no {cost}: they cannot be on the front."] if missing else []


def _it(seeds: Sequence[int]) -> str:
    return "it" if len(seeds) == 1 else "them"
