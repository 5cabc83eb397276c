"""Which row leads and which rows are on the front, by the IoU to expect; the intervals are not needed for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from nas_attn.analysis.evidence import Evidence
from nas_attn.analysis.front import pareto_front
from nas_attn.record import Cost

COSTS: Mapping[str, Callable[[Cost], float | None]] = {
    "macs": lambda cost: cost.macs,
    "parameters": lambda cost: cost.parameters,
    "latency": lambda cost: cost.latency_ms,
    "memory": lambda cost: cost.peak_memory_mib,
}

_SAME_DIGITS = 12  # beyond which scores differ by rounding only


def expected_ious(evidence: Evidence) -> tuple[float, ...]:
    """The IoU to expect of each row over the seeds seen, with the risk that a training collapses."""
    gains, risks = evidence.gains, evidence.collapses.losses
    return tuple(
        round(gains.level + float(gain) - risk, _SAME_DIGITS) for gain, risk in zip(gains.mean, risks, strict=True)
    )


def order_of(evidence: Evidence, ious: Sequence[float], cost: str) -> list[int]:
    """All rows, the best first; of equal ones the cheapest.

    The plain U-Net and the placements that were tested beside it come before those that only the model
    knows more of than one run: no placement leads for a single run.

    Args:
        evidence: of a study.
        ious: to expect of each row.
        cost: that decides between equals.
    """
    tested = {*evidence.tested, evidence.plain}

    def key(row: int) -> tuple[bool, float, float, str]:
        run = evidence.selected.runs[row]
        value = COSTS[cost](run.cost)
        return (row not in tested, -ious[row], float("inf") if value is None else value, run.placement.id)

    return sorted(range(len(evidence.selected.runs)), key=key)


def front_of(evidence: Evidence, ious: Sequence[float], cost: str) -> frozenset[int]:
    """The rows that no other one dominates; those whose cost was not measured are not among them."""
    costs = [COSTS[cost](run.cost) for run in evidence.selected.runs]
    known = [(row, value) for row, value in enumerate(costs) if value is not None]
    return frozenset(known[i][0] for i in pareto_front([(ious[row], v) for row, v in known]))
