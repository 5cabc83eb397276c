"""What the model of effects expects of placements: a run of one tells of all that share an attention with it."""

from __future__ import annotations

from collections.abc import Sequence

from nas_attn.placement import Placement
from nas_attn.record import TrialRecord
from nas_attn.space import SearchSpace
from nas_attn.strategies._effects import Effects, Runs
from nas_attn.strategies._encoding import Encoding

LEAST_RUNS = 16
"""With fewer runs nothing is expected."""


def expected_ious(
    space: SearchSpace, records: Sequence[TrialRecord], placements: Sequence[Placement]
) -> dict[Placement, float]:
    """The IoU to expect of each placement over seeds; empty where too few runs are there.

    It need not be the mean of the placement's own runs: a single one says less of it than all others together.

    Args:
        space: of the study.
        records: finished evaluations of one budget.
        placements: which, run or not.
    """
    ordered = sorted(records, key=lambda record: record.number)
    if not placements or sum(record.outcome is not None for record in ordered) < LEAST_RUNS:
        return {}
    encoding = Encoding.of(space, (*(record.placement for record in ordered), *placements))
    effects = Effects.learn(Runs.of(ordered, encoding, lambda _: 1.0))
    return dict(zip(placements, effects.ious(encoding.encode(placements)).tolist(), strict=True))
