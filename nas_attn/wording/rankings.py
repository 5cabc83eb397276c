"""A ranking in sentences: its verdict, and notes on what was left out, is not known or collapsed."""

from __future__ import annotations

from collections.abc import Sequence

from nas_attn.analysis.costs import COSTS
from nas_attn.analysis.gains import MOST_RUNS
from nas_attn.analysis.noise import LEAST_FREEDOM
from nas_attn.analysis.per_class import ClassIous, as_compared
from nas_attn.analysis.result import RankedPlacement, Ranking, Versus
from nas_attn.analysis.runs import LeftOut
from nas_attn.metric import Metric
from nas_attn.wording.costs import cost_text, latency_notes
from nas_attn.wording.numbers import bounds, counted, points, ranges
from nas_attn.wording.placements import describe, in_words

COLLAPSED = "a collapsed run ended far below what its seed and its placement lead one to expect"
"""The explanation of a collapsed run, wherever one is mentioned."""
_FEW_GROUPS = 5
_MOST_COLLAPSED = 3
_MOST_TIED = 8
_UNTESTED = "no placement has been tested with several fresh seeds yet."
_UNKNOWN_NOISE = "there are too few runs to estimate the noise, so no gain is significant."


def ranking_verdict(ranking: Ranking) -> str:
    """The verdict of a ranking, in one or two sentences. It claims a gain only if runs with fresh seeds show
    it."""
    rows, plain = ranking.rows, ranking.plain
    if not rows:
        return "Nothing to rank: no trial is complete."
    if plain is None:
        return f"The baseline was not evaluated; first is {in_words(rows[0].placement)}{_ties(rows)}."
    others = [row for row in rows if not row.is_plain]
    if not others:
        return "Only the baseline was evaluated."
    better = [row for row in others if row.better_than_baseline is Versus.BETTER]
    if better:
        return f"Better than the baseline: {_claim(better[0], ranking)}{_more(better)}{_ties(rows)}."
    tested = [row for row in others if row.tested]
    if all(row.delta_interval is None for row in tested):
        promising = max(others, key=lambda row: row.iou_expected)
        why = _UNKNOWN_NOISE if tested else _UNTESTED
        return f"Undecided: {why} Most promising is {_claim(promising, ranking)}."
    return (
        f"No placement is significantly better than the baseline{_ties(rows)}. "
        f"First with attention is {_claim(tested[0], ranking)}."
    )


def ranking_notes(ranking: Ranking) -> tuple[str, ...]:
    """Notes on the figures of a ranking, one sentence each."""
    left_out = left_out_notes(ranking.left_out)
    if not ranking.rows:
        return left_out
    return (
        *left_out,
        *_comparison(ranking),
        *_collapses(ranking),
        *_images(ranking),
        *_costs(ranking),
        *latency_notes(ranking),
    )


def left_out_notes(left_out: LeftOut) -> tuple[str, ...]:
    """Which trials are left out of a ranking, one sentence each."""
    notes = []
    if left_out.n_failed:
        notes.append(f"{counted(left_out.n_failed, 'failed trial')} left out.")
    if left_out.n_of_other_budgets:
        others = counted(left_out.n_of_other_budgets, "complete trial")
        notes.append(f"{others} of other budgets left out; ranked here: {left_out.budget}.")
    return tuple(notes)


def measured(row: RankedPlacement) -> str:
    """The measured difference to the baseline of a tested placement: ``+0.9 (0.4 to 1.4)``; ``-`` for other
    placements.

    If too few runs are there to estimate the noise: ``+0.9 (not known)``.
    """
    if row.is_plain or not row.tested or row.delta is None:
        return "-"
    return f"{points(row.delta)} ({bounds(row.delta_interval)})"


def gained(row: RankedPlacement) -> str:
    """The expected gain over the baseline in points: ``+0.6``; ``-`` for the baseline itself."""
    return "-" if row.is_plain or row.gain is None else points(row.gain)


def named(row: RankedPlacement) -> str:
    """A placement in words, followed by the name of the reference architecture unless the words contain it."""
    words = describe(row.placement)
    if row.reference is None or row.is_plain:
        return words
    return f"{words} [reference]" if row.reference in words else f"{words} [reference: {row.reference}]"


def classes_sentence(classes: Sequence[str], found: ClassIous, plain: ClassIous, who: str, metric: Metric) -> str:
    """``IoU of a class x100, number 1 (baseline): nucleus 81.2 (80.9).``; empty if nothing is known.

    Args:
        classes: their names.
        found: the IoU of each class.
        plain: likewise, of the baseline.
        who: the placement with ``found``, in words.
        metric: of the study.
    """
    parts = [
        f"{name} {100 * one:.1f} ({100 * base:.1f})"
        for name, one, base in zip(classes, as_compared(found, metric), as_compared(plain, metric), strict=False)
        if one is not None and base is not None
    ]
    return f"{metric.of_class} x100, {who} (baseline): {', '.join(parts)}." if parts else ""


def _claim(row: RankedPlacement, ranking: Ranking) -> str:
    """A placement with its gain and its cost."""
    word = ranking.metric.word
    collapsed = f"; it collapsed in {row.n_collapsed} of {row.n_runs} runs" if row.n_collapsed else ""
    return (
        f"{in_words(row.placement)}, expected gain {gained(row)} {word} points ({_basis(row)}) for "
        f"{cost_text(row, ranking)}{collapsed}"
    )


def _basis(row: RankedPlacement) -> str:
    """The runs from which the expected gain was estimated."""
    if not row.tested:
        return f"{counted(row.n_seeds, 'run')} and those of similar placements"
    return f"measured {measured(row)} with {counted(row.n_seeds, 'seed')}"


def _more(better: Sequence[RankedPlacement]) -> str:
    """The number of further placements that are better than the baseline."""
    return f", and {counted(len(better) - 1, 'more placement')}" if len(better) > 1 else ""


def _ties(rows: Sequence[RankedPlacement]) -> str:
    """The tested placements that are not distinguishable from the first."""
    tied = [row.rank for row in rows[1:] if row.tied_with_best and (row.tested or row.is_plain)]
    if not tied:
        return ""
    if len(tied) > _MOST_TIED:
        return f"; not distinguishable from the first: {len(tied)} tested placements"
    return f"; not distinguishable from the first: rank{'' if len(tied) == 1 else 's'} {ranges(tied)}"


def _comparison(ranking: Ranking) -> list[str]:
    rows, notes = ranking.rows, []
    if not any(row.is_plain for row in rows):
        notes.append("The baseline was not evaluated at this budget: no differences to it are known.")
    elif apart := sum(row.delta is None for row in rows):
        notes.append(
            f"{apart} of {len(rows)} placements share no seed with the baseline: their differences are not known."
        )
    pair, run = ranking.noise.pair, ranking.noise.run
    if pair is None:
        notes.append("No two placements share two seeds: the noise is not known, and so there are no intervals.")
    elif not pair.tells_intervals:
        known = f"{counted(round(pair.degrees_of_freedom), 'degree')} of freedom"
        notes.append(
            f"The noise is estimated with {known}: with fewer than {LEAST_FREEDOM}, intervals are not known."
        )
    elif run is not None and not run.tells_intervals:
        notes.append(
            f"What a seed does to all placements alike is estimated with fewer than {LEAST_FREEDOM} degrees of "
            f"freedom: the interval of a placement's {ranking.metric.word} by itself is not known."
        )
    if unstable := sum(row.unstable for row in rows):
        notes.append(
            f"!  unstable: {unstable} of {len(rows)} placements vary far more from seed to seed than the "
            "others; their intervals use their own noise, and they are left out of the pooled noise."
        )
    if ranking.n_runs > MOST_RUNS:
        notes.append(
            f"Gains are estimated from {MOST_RUNS:,} of {ranking.n_runs:,} runs: those of placements with several "
            "runs, and the earliest others. For the rest, the expected gain follows from their attentions alone."
        )
    if any(row.fresh for row in rows):
        notes.append(
            "Finalists are measured by their runs in the finals, whose seeds took no part in the selection."
        )
    if ranking.plain is not None and any(row.seeds != ranking.plain.seeds for row in rows):
        notes.append(
            f"{ranking.metric.word} x100 is averaged over each placement's own seeds, which differ between "
            "placements: compare placements by the gain and the measured gain, which use the same seeds."
        )
    return notes


def _collapses(ranking: Ranking) -> list[str]:
    notes = []
    if seeds := ranking.collapsed_seeds:
        which = f"seed{'' if len(seeds) == 1 else 's'} {ranges(seeds)}"
        notes.append(
            f"The baseline collapsed with {which} ({COLLAPSED}): no comparison uses {_it(seeds)}, because a "
            "difference to a failed training means nothing."
        )
    collapsed = [row for row in ranking.rows if row.n_collapsed]
    named = [
        f"{in_words(row.placement)} in {row.n_collapsed} of {row.n_runs}" for row in collapsed[:_MOST_COLLAPSED]
    ]
    if named:
        more = len(collapsed) - len(named)
        others = f"; {counted(more, 'more placement')}" if more else ""
        notes.append(
            f"Collapsed runs ({COLLAPSED}) are left out of the {ranking.metric.word}. They show how often "
            f"training fails, which counts against a placement in the order: {'; '.join(named)}{others}."
        )
    return notes


def _images(ranking: Ranking) -> list[str]:
    """A warning if there are too few images for intervals, or if a class occurs in so few of them that the
    intervals are too narrow."""
    groups, fewest = ranking.image_groups, ranking.fewest_groups_of_a_class
    if groups is not None and groups <= LEAST_FREEDOM:
        return [f"Only {groups} groups of validation images: an interval over images needs {LEAST_FREEDOM + 1}."]
    if groups is None or fewest is None or fewest >= min(_FEW_GROUPS, groups):
        return []
    return [
        f"A class occurs in only {fewest} of {groups} groups of validation images: intervals over so few images "
        "are too narrow."
    ]


def _costs(ranking: Ranking) -> list[str]:
    rows, cost = ranking.rows, ranking.cost
    missing = sum(COSTS[cost](row.cost) is None for row in rows)
    return (
        [f"{missing} of {len(rows)} placements have no {cost}: they cannot be on the Pareto front."]
        if missing
        else []
    )


def _it(seeds: Sequence[int]) -> str:
    return "it" if len(seeds) == 1 else "them"
