"""Placements, differences and rankings in words."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby

from nas_attn.placement import NONE, AttentionSpec, Location, Placement
from nas_attn.ranking.result import Interval, RankedPlacement, Versus

_MOST_NAMED = 8
_UNDECIDED = "no placement has been tested with several fresh seeds yet."
_PREFIXES = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))


def describe(placement: Placement) -> str:
    """A placement in few words: ``scse at skip.1; eca at decoder.0-2``, ``se everywhere``, ``plain U-Net``."""
    if not placement.attended:
        return "plain U-Net"
    places: dict[AttentionSpec, list[Location]] = {}
    for location, spec in placement.attended:
        places.setdefault(spec, []).append(location)
    if len(places) == 1 and all(spec != NONE for _, spec in placement):
        return f"{next(iter(places))} everywhere"
    return "; ".join(f"{spec} at {_places(locations)}" for spec, locations in places.items())


def named(row: RankedPlacement) -> str:
    """A placement with the name of the control that it is, where its own words do not hold it."""
    words = describe(row.placement)
    if row.control is None or row.is_plain:
        return words
    return f"{words} [control]" if row.control in words else f"{words} [control: {row.control}]"


def in_words(placement: Placement) -> str:
    """The same within a sentence: ``scse at skip.1 and eca at decoder.0-2``."""
    *others, last = describe(placement).split("; ")
    return f"{', '.join(others)} and {last}" if others else last


def verdict(rows: Sequence[RankedPlacement], plain: RankedPlacement | None) -> str:
    """What a ranking says, in one or two sentences: a claim only where fresh runs show it."""
    if not rows:
        return "Nothing to rank: no trial is complete."
    if plain is None:
        return f"The plain U-Net was not evaluated; first is {in_words(rows[0].placement)}{_ties(rows)}."
    others = [row for row in rows if not row.is_plain]
    if not others:
        return "Only the plain U-Net was evaluated."
    better = [row for row in others if row.better_than_plain is Versus.BETTER]
    if better:
        return f"Better than the plain U-Net: {_claim(better[0], plain)}{_more(better)}{_ties(rows)}."
    tested = [row for row in others if row.tested]
    if not tested or all(row.delta_interval is None for row in tested):
        promising = max(others, key=lambda row: row.iou_expected)
        return f"Not decided: {_UNDECIDED} Most promising is {_claim(promising, plain)}."
    return (
        f"No placement is shown to be better than the plain U-Net{_ties(rows)}. "
        f"First with attention is {_claim(tested[0], plain)}."
    )


def points(delta: float) -> str:
    """A difference in IoU points, with its sign: ``+0.9``."""
    return "0.0" if abs(100 * delta) < 0.05 else f"{100 * delta:+.1f}"


def bounds(interval: Interval) -> str:
    """A confidence interval in IoU points: ``0.4 to 1.4``."""
    return f"{_bound(interval.low)} to {_bound(interval.high)}"


def ranges(numbers: Iterable[int]) -> str:
    """Ascending whole numbers, neighbours joined: ``1,3-5``."""
    runs = groupby(enumerate(numbers), key=lambda pair: pair[1] - pair[0])
    joined = [[number for _, number in run] for _, run in runs]
    return ",".join(str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in joined)


def counted(number: int, noun: str) -> str:
    """``1 seed``, ``2 seeds``."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def amount(value: float) -> str:
    """A number in three digits: ``1.23G``, ``45.6M``, ``789``."""
    if value < 0:
        return f"-{amount(-value)}"
    for factor, prefix in _PREFIXES:
        if value >= factor * 0.9995:
            return f"{value / factor:.3g}{prefix}"
    return f"{value:.3g}"


def _places(locations: Sequence[Location]) -> str:
    texts = []
    for stage, group in groupby(locations, key=lambda location: location.stage):
        levels = [location.level for location in group]
        one_place = str(Location(stage)) == str(stage)
        texts.append(str(stage) if one_place else f"{stage}.{ranges(levels)}")
    return ", ".join(texts)


def measured(row: RankedPlacement) -> str:
    """The measured difference to the plain U-Net of what was tested: ``+0.9 (0.4 to 1.4)``; ``-`` of all else."""
    if row.is_plain or not row.tested or row.delta is None:
        return "-"
    return points(row.delta) + ("" if row.delta_interval is None else f" ({bounds(row.delta_interval)})")


def gained(row: RankedPlacement) -> str:
    """The gain to expect over the plain U-Net in IoU points: ``+0.6``; ``-`` of the plain U-Net itself."""
    return "-" if row.is_plain or row.gain is None else points(row.gain)


def _claim(row: RankedPlacement, plain: RankedPlacement) -> str:
    """A placement, what it gains and what it costs."""
    ratio = row.cost.macs / plain.cost.macs if plain.cost.macs else 1.0
    collapsed = f"; it collapsed in {row.n_collapsed} of {row.n_runs} runs" if row.n_collapsed else ""
    return (
        f"{in_words(row.placement)}, expected gain {gained(row)} IoU points ({_basis(row)}) for {ratio:.2f}x MACs"
        f"{collapsed}"
    )


def _basis(row: RankedPlacement) -> str:
    """What the expected gain rests on."""
    if not row.tested:
        return f"{counted(row.n_seeds, 'run')} and those of similar placements"
    return f"measured {measured(row)} with {counted(row.n_seeds, 'seed')}"


def _more(better: Sequence[RankedPlacement]) -> str:
    """The other placements that are better, too."""
    return f", and {counted(len(better) - 1, 'more placement')}" if len(better) > 1 else ""


def _ties(rows: Sequence[RankedPlacement]) -> str:
    """The tested placements that may be as good as the first."""
    tied = [row.rank for row in rows[1:] if row.tied_with_best and (row.tested or row.is_plain)]
    if not tied:
        return ""
    if len(tied) > _MOST_NAMED:
        return f"; not distinguishable from the first: {len(tied)} tested placements"
    return f"; not distinguishable from the first: rank{'' if len(tied) == 1 else 's'} {ranges(tied)}"


def _bound(value: float) -> str:
    """With a second digit where the first would hide on which side of 0 it lies."""
    return f"{100 * value:.{2 if 0 < abs(100 * value) < 0.05 else 1}f}"
