"""One thing to do: train this placement for this budget with this seed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from nas_attn.budget import Budget
from nas_attn.models.placement import Placement
from nas_attn.record import Role, TrialRecord

RunKey = tuple[Placement, Budget, int]
"""What makes two runs the same run, whatever they are for."""


@dataclass(frozen=True)
class Evaluation:
    """What a trial is to find out, before it runs.

    Args:
        placement: what to train.
        budget: for how long.
        seed: of initialisation and batches.
        role: why.
        reference: name of the reference; None for what is not a reference.
        memory: what the strategy wants to find again with the trial.
    """

    placement: Placement
    budget: Budget
    seed: int
    role: Role
    reference: str | None = None
    memory: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, record: TrialRecord) -> Evaluation:
        """What a trial that was begun is to find out."""
        return cls(record.placement, record.budget, record.seed, record.role, record.reference, record.memory)


def run_key(one: Evaluation | TrialRecord) -> RunKey:
    """Placement, budget and seed of an evaluation, or of a trial."""
    return one.placement, one.budget, one.seed
