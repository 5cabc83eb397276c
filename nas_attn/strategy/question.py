"""What every strategy is asked, what it answers, and the randomness that it may use.

This depends on the study's seed and the trial's number, and on nothing else.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.random import SeedSequence

from nas_attn.budget import Budget
from nas_attn.errors import UsageError
from nas_attn.models.placement import Placement
from nas_attn.record import TrialRecord
from nas_attn.space import SearchSpace


@dataclass(frozen=True, eq=False)
class Question:
    """Everything that a strategy may know when it chooses.

    Args:
        space: the placements to choose from.
        records: finished evaluations at the budget of the search, complete or failed; the order of the
            tuple does not matter, their numbers do. On a ladder of budgets the highest run of each placement
            and seed, with the IoU to expect of it at the top budget.
        pending: placements that are being evaluated now, in any order.
        number: of the trial that is to be filled, from 0.
        seed: of the study, at least 0.
        cost: the cost of a placement, exact and known without training. It is asked once for every
            placement in ``records`` and ``pending``, so it had better remember.
        objective_cost: what ``cost`` counts, such as ``macs``.
        allowed: whether a placement keeps every limit. In spaces of more than a few thousand placements
            it has to be a ceiling: making one location cheaper never breaks it.
        ladder: budgets, the shortest first; empty where there is one only.
        shown: on a ladder, the finished evaluations of all rungs, each with its own IoU; empty where there is one
            budget only, which ``records`` tell of.
        known: the placements of ``records``, where the asker has them at hand; None where they are to be
            collected.
    Raises:
        UsageError: ``number`` or ``seed`` is negative.
    """

    space: SearchSpace
    records: tuple[TrialRecord, ...]
    pending: tuple[Placement, ...]
    number: int
    seed: int
    cost: Callable[[Placement], float]
    objective_cost: str
    allowed: Callable[[Placement], bool]
    ladder: tuple[Budget, ...] = ()
    shown: tuple[TrialRecord, ...] = ()
    known: Set[Placement] | None = None

    def __post_init__(self) -> None:
        found = [
            f"{name} is {value}; it must be at least 0"
            for name, value in (("number", self.number), ("seed", self.seed))
            if value < 0
        ]
        if found:
            raise UsageError(found)


@dataclass(frozen=True)
class Proposal:
    """The placement to evaluate next.

    Args:
        placement: one of the space that is allowed, not yet evaluated and not pending.
        memory: plain JSON values; they come back with the evaluation, as ``TrialRecord.memory``.
    """

    placement: Placement
    memory: Mapping[str, Any] = field(default_factory=dict)


Strategy = Callable[[Question], Proposal | None]
"""A pure function: equal questions get equal proposals in every process; None where nothing new is left."""


def sampler_seed(question: Question) -> int:
    """32 bits for an Optuna sampler.

    One seed for the whole study would make a continued study repeat its first trials, and parallel
    workers one another's.
    """
    return int(SeedSequence((question.seed, question.number)).generate_state(1)[0])


def generator(question: Question) -> random.Random:
    """A generator that shares nothing with the one of ``sampler_seed``."""
    words = SeedSequence((question.seed, question.number), spawn_key=(1,)).generate_state(4)
    return random.Random(int.from_bytes(words.tobytes(), "little"))


def array_generator(question: Question) -> np.random.Generator:
    """A generator of arrays that shares nothing with the two others."""
    return np.random.default_rng(SeedSequence((question.seed, question.number), spawn_key=(2,)))
