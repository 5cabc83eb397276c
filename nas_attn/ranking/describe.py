"""Placements, differences and rankings in words."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby

from nas_attn.placement import NONE, AttentionSpec, Location, Placement
from nas_attn.ranking.result import Interval, RankedPlacement, Versus

_SEVERAL = "Run the leading placements and the plain U-Net with several seeds."
_MOST_NAMED = 8
_UNKNOWN = f"How much of that is the seed's luck is not known. {_SEVERAL}"
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


def in_words(placement: Placement) -> str:
    """The same within a sentence: ``scse at skip.1 and eca at decoder.0-2``."""
    *others, last = describe(placement).split("; ")
    return f"{', '.join(others)} and {last}" if others else last


def verdict(rows: Sequence[RankedPlacement], plain: RankedPlacement | None) -> str:
    """What a ranking says, in one or two sentences."""
    if not rows:
        return "Nothing to rank: no trial is complete."
    leader = rows[0]
    if plain is None:
        return f"The plain U-Net was not evaluated; first is {in_words(leader.placement)}{_ties(rows)}."
    if len(rows) == 1 and leader.is_plain:
        return "Only the plain U-Net was evaluated."
    if leader.is_plain:
        known = any(row.tied_with_best is not None for row in rows[1:])
        return f"No placement is ahead of the plain U-Net{_ties(rows)}.{'' if known else f' {_UNKNOWN}'}"
    if leader.better_than_plain is Versus.BETTER:
        return f"{_claim(leader, plain)} over the plain U-Net{_ties(rows)}.{_caution(leader)}"
    if leader.better_than_plain is Versus.UNKNOWN:
        return (
            f"Not known whether any placement is better than the plain U-Net; first is {_claim(leader, plain)}. "
            f"{_SEVERAL}"
        )
    if any(row.better_than_plain is Versus.BETTER for row in rows):
        return f"The first placement is not distinguishable from the plain U-Net: {_claim(leader, plain)}."
    return f"No placement is distinguishable from the plain U-Net; first is {_claim(leader, plain)}."


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


def _claim(row: RankedPlacement, plain: RankedPlacement) -> str:
    """A placement, what it gains and what it costs."""
    where = in_words(row.placement)
    if row.delta is None:
        return f"{where}, which shares no seed with the plain U-Net"
    known = [] if row.delta_interval is None else [bounds(row.delta_interval)]
    basis = ", ".join([*known, counted(row.n_seeds, "seed")])
    ratio = row.cost.macs / plain.cost.macs if plain.cost.macs else 1.0
    return f"{where}: {points(row.delta)} IoU points ({basis}) for {ratio:.2f}x MACs"


def _ties(rows: Sequence[RankedPlacement]) -> str:
    """The placements that may be as good as the first; those with one run each are only counted."""
    tied = [row for row in rows[1:] if row.tied_with_best]
    several = [row.rank for row in tied if row.n_seeds > 1]
    single = len(tied) - len(several)
    parts = []
    if len(several) > _MOST_NAMED:
        parts.append(f"from {len(several)} placements with several seeds")
    elif several:
        parts.append(f"from rank{'' if len(several) == 1 else 's'} {ranges(several)}")
    if single:
        parts.append(f"from {counted(single, 'placement')} with a single run")
    return f"; not distinguishable {' nor '.join(parts)}" if parts else ""


def _caution(row: RankedPlacement) -> str:
    if row.n_seeds > 1 or row.fresh:
        return ""
    return " It was chosen for this one run: expect less, and run it with more seeds."


def _bound(value: float) -> str:
    """With a second digit where the first would hide on which side of 0 it lies."""
    return f"{100 * value:.{2 if 0 < abs(100 * value) < 0.05 else 1}f}"
