"""Costs of placements in words: latency if it was timed, the study's cost, and MACs."""

from __future__ import annotations

from collections.abc import Iterator

from nas_attn.analysis.costs import Disagreement, cost_of, cost_ratio, disagreements
from nas_attn.analysis.result import RankedPlacement, Ranking
from nas_attn.wording.numbers import amount
from nas_attn.wording.placements import in_words

COST_WORDS = {"macs": "MACs", "parameters": "parameters", "latency": "latency", "memory": "memory"}
"""Names of the costs within a sentence."""
BY_TRIALS = "~"
"""Mark of a latency that the trials of a placement measured themselves, beside other work."""


def cost_text(row: RankedPlacement, ranking: Ranking) -> str:
    """The costs of a row relative to the baseline's: ``1.23x latency, 1.00x MACs``.

    Latency comes first if the row was timed together with the baseline, then the study's cost, and MACs in any
    case.
    """
    timed = ranking.latency_of(row) is not None
    names = dict.fromkeys([*(["latency"] * timed), ranking.cost, "macs"])
    ratios = ((COST_WORDS[name], cost_ratio(row, ranking, name)) for name in names)
    return ", ".join(f"{ratio:.2f}x {word}" for word, ratio in ratios if ratio is not None)


def cost_with_ratio(row: RankedPlacement, ranking: Ranking, cost: str) -> str:
    """A cost that is always known, with its ratio to the baseline's if there is one: ``1.23G 1.05x``."""
    ratio, shown = cost_ratio(row, ranking, cost), amount(cost_of(row, cost) or 0.0)
    return shown if ratio is None else f"{shown} {ratio:.2f}x"


def latency_text(row: RankedPlacement, ranking: Ranking) -> str:
    """Milliseconds of one image, with the ratio to the baseline's: ``1.52 (1.23x)``.

    ``~1.61``, without a ratio, was measured by the trials of a placement themselves, beside other work.
    """
    if (timed := ranking.latency_of(row)) is not None:
        return f"{timed.ms:.3g} ({timed.ratio:.2f}x)"
    return "-" if row.cost.latency_ms is None else f"{BY_TRIALS}{row.cost.latency_ms:.3g}"


def latency_notes(ranking: Ranking) -> list[str]:
    """How latencies were timed, and where MACs do not predict them; empty if no placements were timed together."""
    return [*_timed(ranking), *disagreement_notes(ranking)]


def disagreement_notes(ranking: Ranking) -> list[str]:
    """Where MACs do not predict latency, in at most one line."""
    return list(_apart(disagreements(ranking)))


def percent_more(ratio: float) -> str:
    """A ratio as its difference to 1: ``+0.1 %``."""
    return f"{100 * (ratio - 1):+.1f} %"


def _timed(ranking: Ranking) -> Iterator[str]:
    table = ranking.latencies
    if table is not None:
        yield (
            f"Latency: one {table.input_name} of {table.height}x{table.width} on {table.device}; "
            f"{len(table.single)} placements timed in turns, {table.rounds} rounds, each against the baseline of "
            "its round."
        )


def _apart(found: tuple[Disagreement, ...]) -> Iterator[str]:
    if not found:
        return
    first, more = found[0], len(found) - 1
    others = f", and likewise for {more} more" if more else ""
    bounds = " to ".join(f"{100 * (bound - 1):+.0f}" for bound in (first.latency.low, first.latency.high))
    yield (
        f"Latency and MACs disagree: {in_words(first.row.placement)} takes {percent_more(first.latency.ratio)} "
        f"time (quartiles {bounds}) for {percent_more(first.macs_ratio)} MACs{others}. Where time matters, "
        "rank by --cost latency."
    )
