"""The question to a strategy, its answer, and the randomness that it may use.

The randomness depends only on the study's seed and the trial's number.
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
    """Everything that a strategy may use for its choice.

    Args:
        space: the placements to choose from.
        records: finished evaluations at the budget of the search, complete or failed. Their numbers matter, not
            their order. On a ladder, the highest run of each placement and seed, with its expected IoU at the top
            budget.
        pending: placements that are being evaluated now, in any order.
        number: of the trial that is to be filled, from 0.
        seed: of the study, at least 0.
        cost: the exact cost of a placement, known without training. It is called once for every placement in
            ``records`` and ``pending``, so it should cache its results.
        objective_cost: the cost that ``cost`` returns, such as ``macs``.
        allowed: whether a placement is within every limit. In spaces of more than a few thousand placements, the
            limit has to be a ceiling: making one location cheaper must never break it.
        ladder: budgets, the shortest first; empty if there is only one.
        shown: on a ladder, the finished evaluations of all rungs, each with its own IoU; empty if there is only
            one budget, whose evaluations are in ``records``.
        known: the placements of ``records``, if the caller has them at hand; None if they have to be collected.
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
        placement: of the space, allowed, not yet evaluated and not pending.
        memory: plain JSON values, which are stored with the evaluation as ``TrialRecord.memory``.
    """

    placement: Placement
    memory: Mapping[str, Any] = field(default_factory=dict)


Strategy = Callable[[Question], Proposal | None]
"""A pure function: equal questions get equal proposals in every process; None if no new placement is left."""


def sampler_seed(question: Question) -> int:
    """A seed of 32 bits for an Optuna sampler.

    With one seed for the whole study, a continued study would repeat its first trials, and parallel workers would
    repeat each other's.
    """
    return int(SeedSequence((question.seed, question.number)).generate_state(1)[0])


def generator(question: Question) -> random.Random:
    """A random generator that is independent of ``sampler_seed``."""
    words = SeedSequence((question.seed, question.number), spawn_key=(1,)).generate_state(4)
    return random.Random(int.from_bytes(words.tobytes(), "little"))


def array_generator(question: Question) -> np.random.Generator:
    """A generator of random arrays that is independent of the other two."""
    return np.random.default_rng(SeedSequence((question.seed, question.number), spawn_key=(2,)))
