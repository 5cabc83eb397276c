"""An evaluation: train a placement for a budget with a seed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from nas_attn.budget import Budget
from nas_attn.models.placement import Placement
from nas_attn.record import Role, TrialRecord

RunKey = tuple[Placement, Budget, int]
"""Two runs with the same key are the same run, whatever their purpose."""


@dataclass(frozen=True)
class Evaluation:
    """What a trial evaluates.

    Args:
        placement: to train.
        budget: of the training.
        seed: of initialisation and batches.
        role: its purpose.
        reference: name of the reference architecture; None for other placements.
        memory: values that the strategy stores with the trial.
    """

    placement: Placement
    budget: Budget
    seed: int
    role: Role
    reference: str | None = None
    memory: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, record: TrialRecord) -> Evaluation:
        """The evaluation of a trial that was started."""
        return cls(record.placement, record.budget, record.seed, record.role, record.reference, record.memory)


def run_key(one: Evaluation | TrialRecord) -> RunKey:
    """Placement, budget and seed of an evaluation, or of a trial."""
    return one.placement, one.budget, one.seed
