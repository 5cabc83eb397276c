"""Select a placement of a ranking."""

from __future__ import annotations

import math
import re

from nas_attn.analysis import COSTS, RankedPlacement, Ranking, Versus, cost_of
from nas_attn.commands import command
from nas_attn.errors import ExportError, UsageError, did_you_mean
from nas_attn.wording.placements import describe

BEST = "best"
RULES = (BEST, "first", "knee", "one-se", "under:", "id:")
UNITS = {"macs": "", "parameters": "", "latency": " ms", "memory": " MiB"}

_AMOUNT = re.compile(r"(?P<number>\d{1,15}(?:\.\d{1,12})?)(?P<unit>x|k|M|G|T)?", re.ASCII)
_FACTORS = {"": 1.0, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12}


def pick(ranking: Ranking, how: str = "best") -> RankedPlacement:
    """Select a placement of a ranking. Only placements with complete trials are ranked and can be picked.

    Args:
        ranking: of a study.
        how: one of
            ``best``: the first of the ranking that is significantly better than the baseline; without one, the
            baseline.
            ``first``: the first with attention, whether it is better or not.
            ``one-se``: the cheapest whose expected IoU is at most one standard error of the best below the best
            (Breiman et al. 1984, section 3.4.3): it costs less and may be as good.
            ``knee``: the point of the front farthest above the straight line from its cheapest to its costliest
            point, both axes scaled to the front's range (Das 1999, doi:10.1007/s001580050111). Beyond it, IoU
            grows more slowly with cost than along the whole front. With no point above the line, the better
            ranked end.
            ``under:macs=1.2x``: the first of the ranking with at most 1.2 times the baseline's MACs;
            ``under:parameters=2.1M``, ``under:latency=3.5`` (ms) and ``under:memory=900`` (MiB) likewise, and
            several of these, separated by commas.
            ``id:1f0c``: the placement whose id starts with this.
    Raises:
        UsageError: ``how`` is invalid, or matches no placement or several.
        ExportError: no placement matches, or the ranking lacks what ``how`` needs.
    """
    if not ranking.rows:
        raise ExportError("nothing to pick from: no trial of the study is complete")
    rules = {BEST: best, "first": _first, "knee": _knee, "one-se": _one_standard_error}
    if how in rules:
        return rules[how](ranking)
    rule, colon, rest = how.partition(":")
    rules_of_text = {"under": _under, "id": _by_id}
    if colon and rule in rules_of_text:
        return rules_of_text[rule](ranking, rest)
    raise UsageError(f"unknown pick '{how}'; {did_you_mean(how, RULES)}")


def best(ranking: Ranking) -> RankedPlacement:
    """The first row that is significantly better than the baseline. Without one, the baseline, or the first row if
    the baseline was not run.

    Args:
        ranking: with at least one row.
    """
    better = (row for row in ranking.rows if row.better_than_baseline is Versus.BETTER)
    return next(better, ranking.plain or ranking.rows[0])


def _first(ranking: Ranking) -> RankedPlacement:
    for row in ranking.rows:
        if not row.is_plain:
            return row
    raise ExportError("only the baseline was evaluated")


def _one_standard_error(ranking: Ranking) -> RankedPlacement:
    leader = ranking.rows[0]
    if ranking.noise.pair is None:
        raise ExportError(
            "one-se needs the noise between seeds, which is not known: run the leading placements with several "
            "seeds, or pick best or knee"
        )
    least = leader.iou_expected - ranking.noise.pair.sd / math.sqrt(leader.n_seeds)
    return min(
        (row for row in ranking.rows if row.iou_expected >= least),
        key=lambda row: (_known_cost(row, ranking.cost), row.rank),
    )


def _knee(ranking: Ranking) -> RankedPlacement:
    front = [row for row in ranking.rows if row.on_front]
    if not front:
        raise ExportError(
            f"there is no Pareto front, because no placement has a measured {ranking.cost}; pick best"
        )
    costs = [_known_cost(row, ranking.cost) for row in front]
    ious = [row.iou_expected for row in front]

    def height(row: RankedPlacement) -> float:
        """Height above the line from (0, 0), the cheapest, to (1, 1), the best; 0 on it."""
        cost = _known_cost(row, ranking.cost)
        return _share(row.iou_expected, min(ious), max(ious)) - _share(cost, min(costs), max(costs))

    return max(front, key=lambda row: (round(height(row), 9), -row.rank))


def _under(ranking: Ranking, text: str) -> RankedPlacement:
    ceilings = [_ceiling(ranking, part) for part in text.split(",")]
    for row in ranking.rows:
        if all(_known_cost(row, cost) <= most for cost, most in ceilings):
            return row
    lines = []
    for cost, most in ceilings:
        cheapest = min(ranking.rows, key=lambda row: _known_cost(row, cost))
        least = _known_cost(cheapest, cost)
        if math.isinf(least):
            lines.append(f"under:{text}: no placement has a {cost}; it was not measured")
        elif least > most:
            lines.append(
                f"under:{text}: no placement is at or below {most:,.6g}{UNITS[cost]}; the least {cost} is "
                f"{least:,.6g}{UNITS[cost]}: id:{cheapest.placement.id}, {describe(cheapest.placement)}"
            )
    raise ExportError(lines or f"under:{text}: no placement is below all of these at once")


def _ceiling(ranking: Ranking, part: str) -> tuple[str, float]:
    cost, equals, amount = (word.strip() for word in part.partition("="))
    if not equals:
        raise UsageError(f"'under:{part}' is not a ceiling; write for example under:macs=1.2x")
    if cost not in COSTS:
        raise UsageError(f"under: unknown cost '{cost}'; {did_you_mean(cost, COSTS)}")
    match = _AMOUNT.fullmatch(amount)
    if match is None:
        raise UsageError(
            f"under: '{amount}' is not a ceiling; write 1.2x (times the baseline), 2.1G, 350M or 12000"
        )
    if match["unit"] != "x":
        return cost, float(match["number"]) * _FACTORS[match["unit"] or ""]
    plain = None if ranking.plain is None else cost_of(ranking.plain, cost)
    if plain is None:
        raise ExportError(f"under: {amount} of the baseline's {cost} is not known; write a number instead")
    return cost, float(match["number"]) * plain


def _by_id(ranking: Ranking, start: str) -> RankedPlacement:
    ids = [row.placement.id for row in ranking.rows]
    if not start:
        raise UsageError(f"'id:' needs the start of a placement's id, for example id:{ids[0]}")
    found = [row for row in ranking.rows if row.placement.id.startswith(start.lower())]
    if not found:
        near = did_you_mean(start, ids) if len(ids) <= 5 else f"such as {ids[0]}; '{command('rank')}' lists them"
        raise UsageError(f"no placement has an id that starts with '{start}'; {near}")
    if len(found) > 1:
        raise UsageError(f"'id:{start}' is ambiguous: {', '.join(row.placement.id for row in found[:8])}")
    return found[0]


def _known_cost(row: RankedPlacement, cost: str) -> float:
    """The cost; infinite if it was not measured."""
    value = cost_of(row, cost)
    return math.inf if value is None else float(value)


def _share(value: float, low: float, high: float) -> float:
    return 0.0 if high == low else (value - low) / (high - low)
