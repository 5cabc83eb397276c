"""The effect of every attention at every location, over the whole study."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

from nas_attn.analysis.effect_estimates import Estimate, added, beside, pairs
from nas_attn.analysis.effect_model import Choice, choices_of
from nas_attn.analysis.gains import Gains
from nas_attn.analysis.noise import LEAST_FREEDOM
from nas_attn.analysis.posterior import Posterior
from nas_attn.analysis.quantiles import two_sided_quantile
from nas_attn.analysis.result import Interval
from nas_attn.analysis.runs import LeftOut, metric_of, select_runs
from nas_attn.analysis.study_gains import study_gains
from nas_attn.models.placement import AttentionSpec, Location, Placement
from nas_attn.record import TrialRecord

LEAST_RUNS = 16
"""Fewest runs for which effects are reported."""
_LEAST_TOGETHER = 3

Module = tuple[Location, AttentionSpec]
"""An attention at a location."""


@dataclass(frozen=True)
class Effect:
    """Effect of an attention at a location, compared with none there.

    It is the average over placements that draw every other location's attention evenly from its choices.

    Args:
        location: of the attention.
        attention: the attention.
        mean: in units of IoU.
        interval: credible interval of the effect; None with fewer than ``LEAST_FREEDOM`` effects, which cannot
            show how much effects differ.
        n_placements: number of placements of the study that have it.
    """

    location: Location
    attention: AttentionSpec
    mean: float
    interval: Interval | None
    n_placements: int

    @property
    def is_sure(self) -> bool:
        """Whether the interval excludes 0."""
        return self.interval is not None and self.interval.excludes(0.0)


@dataclass(frozen=True)
class Interaction:
    """Joint effect of two attentions beyond the sum of their effects.

    Args:
        one: the first.
        other: the second, at a later location.
        mean: in units of IoU; below 0 they interfere with each other.
        interval: credible interval of the joint effect.
        n_placements: number of placements of the study that have both.
    """

    one: Module
    other: Module
    mean: float
    interval: Interval
    n_placements: int


@dataclass(frozen=True)
class Redundancy:
    """An attention that helps by itself, but not beside another.

    Args:
        module: the redundant attention.
        beside: the other attention.
        alone: effect of ``module`` if the other's location has none.
        together: effect of ``module`` beside the other.
        interval: credible interval of ``together``.
    """

    module: Module
    beside: Module
    alone: float
    together: float
    interval: Interval


@dataclass(frozen=True)
class StudyEffects:
    """The effects of the attentions in a study.

    Args:
        effects: of every attention at every location where the study tried it, by location.
        interactions: pairs whose interval excludes 0, the strongest first.
        redundancies: attentions that help, but not beside another.
        confidence: of all intervals.
        n_placements: number of placements used.
        n_runs: number of runs used.
        left_out: trials that the ranking does not use either.
        n_complete: number of runs available; below ``LEAST_RUNS`` there are no effects.
        n_collapsed: number of these left out because they collapsed.
        n_raised: number of these whose scores are raised because they are far below the others.
        most_below: most by which a score of the ranked budget can lie below the median of its seed, in units of
            IoU; lower scores are raised.
        word: what the values are called.
    """

    effects: tuple[Effect, ...]
    interactions: tuple[Interaction, ...]
    redundancies: tuple[Redundancy, ...]
    confidence: float
    n_placements: int
    n_runs: int
    left_out: LeftOut
    n_complete: int
    n_collapsed: int = 0
    n_raised: int = 0
    most_below: float = 0.0
    word: str = "IoU"

    def at(self, location: Location, attention: AttentionSpec) -> Effect | None:
        """One effect; None if the study did not try it."""
        return next((e for e in self.effects if (e.location, e.attention) == (location, attention)), None)


def study_effects(records: Sequence[TrialRecord], *, confidence: float = 0.95) -> StudyEffects:
    """The effects, from all complete runs of the ranked budget.

    They come from the posterior (``study_gains.study_gains``) from which the search draws its proposals. They are
    not biased by the fact that most trials were chosen because of earlier scores.

    Args:
        records: of one study, in any order.
        confidence: of the intervals, above 0 and below 1.
    """
    selected, word = select_runs(records), metric_of(records).word
    n_complete = sum(len(run.scores) for run in selected.runs)
    if n_complete < LEAST_RUNS:
        few = len(selected.runs), n_complete, selected.left_out, n_complete
        return StudyEffects((), (), (), confidence, *few, word=word)
    gains, _ = study_gains(records)
    table = _Table.of(gains, [run.placement for run in selected.runs])
    # The spread of the effects is estimated from the effects, so their number bounds the degrees of freedom.
    z = two_sided_quantile(confidence, max(1, len(table.held)))
    effects = table.effects(z)
    interactions = table.interactions(z) if table.tells_spread else []
    return StudyEffects(
        effects=effects,
        interactions=tuple(pair for pair in interactions if pair.interval.excludes(0.0)),
        redundancies=table.redundancies(effects, interactions, z),
        confidence=confidence,
        n_placements=len(selected.runs),
        n_runs=gains.n_runs,
        left_out=selected.left_out,
        n_complete=n_complete,
        n_collapsed=n_complete - gains.n_known,
        n_raised=gains.n_raised,
        most_below=gains.most_below,
        word=word,
    )


@dataclass(frozen=True, eq=False)
class _Table:
    """A posterior with the locations and attentions of its codes, in units of IoU."""

    locations: tuple[Location, ...]
    held: Counter[Choice]
    held_pairs: Counter[tuple[Choice, Choice]]
    gains: Gains

    @classmethod
    def of(cls, gains: Gains, placements: Sequence[Placement]) -> _Table:
        rows = [choices_of(codes[None]) for codes in gains.codes]
        held = Counter(choice for choices in rows for choice in choices)
        pairs = Counter(pair for choices in rows for pair in combinations(choices, 2))
        return cls(tuple(location for location, _ in placements[0]), held, pairs, gains)

    def module(self, choice: Choice) -> Module:
        return self.locations[choice[0]], self.gains.specs[choice[1]]

    @property
    def tells_spread(self) -> bool:
        """Whether there are enough effects to show how much effects differ."""
        return len(self.held) >= LEAST_FREEDOM

    def effects(self, z: float) -> tuple[Effect, ...]:
        """Effects of all attentions that the study tried."""
        choices, found = sorted(self.held), []
        for choice, estimate in zip(choices, added(self._posterior, choices), strict=True):
            mean, interval = self._scaled(estimate, z)
            told = interval if self.tells_spread else None
            found.append(Effect(*self.module(choice), mean, told, self.held[choice]))
        return tuple(found)

    def interactions(self, z: float) -> list[Interaction]:
        """All pairs that occur often enough, the strongest first."""
        often = sorted(pair for pair, number in self.held_pairs.items() if number >= _LEAST_TOGETHER)
        found = []
        for pair, estimate in zip(often, pairs(self._posterior, often), strict=True):
            mean, interval = self._scaled(estimate, z)
            one, other = (self.module(choice) for choice in pair)
            found.append(Interaction(one, other, mean, interval, self.held_pairs[pair]))
        return sorted(found, key=lambda pair: -abs(pair.mean))

    def redundancies(
        self, effects: Sequence[Effect], interactions: Sequence[Interaction], z: float
    ) -> tuple[Redundancy, ...]:
        """Attentions that add nothing beside another, from pairs that surely interfere with each other."""
        helps = {(effect.location, effect.attention) for effect in effects if effect.is_sure and effect.mean > 0}
        found = []
        for pair in interactions:
            if pair.interval.high >= 0:
                continue
            for module, other in ((pair.one, pair.other), (pair.other, pair.one)):
                if module in helps and other in helps and (redundant := self._redundancy(module, other, z)):
                    found.append(redundant)
        return tuple(found)

    def _redundancy(self, module: Module, other: Module, z: float) -> Redundancy | None:
        both = beside(self._posterior, self._choice(module), self._choice(other))
        (alone, without), (together, interval) = (self._scaled(estimate, z) for estimate in both)
        if without.low <= 0 or interval.low > 0:
            return None
        return Redundancy(module, other, alone, together, interval)

    @property
    def _posterior(self) -> Posterior:
        assert self.gains.posterior is not None
        return self.gains.posterior

    def _choice(self, module: Module) -> Choice:
        return self.locations.index(module[0]), self.gains.specs.index(module[1])

    def _scaled(self, estimate: Estimate, z: float) -> tuple[float, Interval]:
        mean, deviation = (self.gains.spread * value for value in estimate)
        return mean, Interval(mean - z * deviation, mean + z * deviation)
