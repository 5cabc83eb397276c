"""Small spaces with invented kinds, and a study loop on a made-up task."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import pytest

from nas_attn.budget import Budget
from nas_attn.models.kind import AttentionKind
from nas_attn.models.network import UNetConfig
from nas_attn.models.placement import NONE, AttentionSpec, Placement
from nas_attn.record import Role, State, TrialRecord
from nas_attn.space import Limits, SearchSpace
from nas_attn.strategy import STRATEGIES, Question
from nas_attn.training.evaluation.lookup import LookupEvaluator

BUDGET = Budget(steps=3000, image_size=64, batch_size=8)
NAMES = ("none", "a", "b", "c", "d", "e", "f", "g")


def make_space(depth: int, n_kinds: int, n_open: int | None = None, with_none: bool = True) -> SearchSpace:
    """A space in which the first ``n_open`` locations have ``n_kinds`` choices and the others only ``none``."""
    network = UNetConfig(3, 2, depth=depth, base_channels=8)
    kinds = tuple(AttentionKind(name, name, "invented") for name in NAMES)
    names = NAMES[:n_kinds] if with_none else NAMES[1 : n_kinds + 1]
    specs = tuple(AttentionSpec(name) for name in names)
    n_open = len(network.locations) if n_open is None else n_open
    choices = tuple(
        (location, specs if index < n_open else (NONE,)) for index, location in enumerate(network.locations)
    )
    return SearchSpace("invented", "", network, 64, 64, choices, Limits(), kinds)


@dataclass
class Play:
    """A study without a storage: asks a strategy, looks its proposals up, remembers them."""

    space: SearchSpace
    seed: int = 0
    allowed: Callable[[Placement], bool] = lambda placement: True
    fails: Callable[[Placement], bool] = lambda placement: False
    records: list[TrialRecord] = field(default_factory=list)
    spread: float = 0.02

    @functools.cached_property
    def evaluator(self) -> LookupEvaluator:
        return LookupEvaluator(self.space, self.seed, spread=self.spread)

    def cost(self, placement: Placement) -> float:
        return self._costs(placement)

    @functools.cached_property
    def _costs(self) -> Callable[[Placement], float]:
        return functools.cache(lambda placement: float(self.evaluator.cost(placement).macs))

    def question(self, pending: Sequence[Placement] = (), number: int | None = None) -> Question:
        number = len(self.records) if number is None else number
        return Question(
            self.space, tuple(self.records), tuple(pending), number, self.seed, self.cost, "macs", self.allowed
        )

    def record(self, placement: Placement, memory: dict[str, object] | None = None, seed: int = 0) -> TrialRecord:
        failed = self.fails(placement)
        return TrialRecord(
            len(self.records),
            placement,
            BUDGET,
            seed,
            Role.PROPOSAL,
            State.FAILED if failed else State.COMPLETE,
            outcome=None if failed else self.evaluator(placement, BUDGET, seed),
            failure="diverged" if failed else None,
            memory=memory or {},
        )

    def run(self, strategy: str, n_trials: int) -> Play:
        while len(self.records) < n_trials:
            proposal = STRATEGIES[strategy](self.question())
            if proposal is None:
                break
            self.records.append(self.record(proposal.placement, dict(proposal.memory)))
        return self

    @property
    def placements(self) -> list[Placement]:
        return [record.placement for record in self.records]


@pytest.fixture(scope="session")
def space_of() -> Callable[..., SearchSpace]:
    return make_space


@pytest.fixture(scope="session")
def play() -> type[Play]:
    return Play
