"""What matters where: the effect of every attention at every location, over the whole study."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from nas_attn.analysis.by_metric import metric_of
from nas_attn.analysis.effect_model import MOST_RUNS, Choice, EffectModel, Runs, within_groups
from nas_attn.analysis.images import Array
from nas_attn.analysis.result import Interval
from nas_attn.analysis.runs import LeftOut, comparable_iou, select_runs
from nas_attn.analysis.student import two_sided_quantile
from nas_attn.models.placement import NONE, AttentionSpec, Location, Placement
from nas_attn.record import TrialRecord

LEAST_RUNS = 16
"""With fewer runs no effects are told."""
_LEAST_TOGETHER = 3
_FAR = 5.0

Module = tuple[Location, AttentionSpec]
"""An attention at a location."""


@dataclass(frozen=True)
class Effect:
    """What an attention adds at a location, compared with none there.

    It is the average over placements that draw every other location's attention evenly from its choices.

    Args:
        location: where.
        attention: what.
        mean: in units of IoU.
        interval: of that, credible.
        n_placements: how many placements of the study have it.
    """

    location: Location
    attention: AttentionSpec
    mean: float
    interval: Interval
    n_placements: int

    @property
    def is_sure(self) -> bool:
        """The interval excludes 0."""
        return self.interval.excludes(0.0)


@dataclass(frozen=True)
class Interaction:
    """What two attentions add together beyond the sum of their effects.

    Args:
        one: the first.
        other: the second, at a later location.
        mean: in units of IoU; below 0 they stand in each other's way.
        interval: of that, credible.
        n_placements: how many placements of the study have both.
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
        module: which.
        beside: which other.
        alone: what it adds where the other's location has none.
        together: what it adds beside the other.
        interval: of ``together``, credible.
    """

    module: Module
    beside: Module
    alone: float
    together: float
    interval: Interval


@dataclass(frozen=True)
class StudyEffects:
    """What a study says of its attentions.

    Args:
        effects: of every attention at every location where the study tried it, by location.
        interactions: pairs whose interval excludes 0, the strongest first.
        redundancies: attentions that help, but not beside another.
        confidence: of all intervals.
        n_placements: that they rest on.
        n_runs: that they rest on.
        left_out: trials that the ranking does not rest on either.
        n_complete: runs that they could rest on; below ``LEAST_RUNS`` there are no effects.
        n_raised: of these, collapsed ones that count as ``least_iou``.
        least_iou: None where there are no effects.
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
    n_raised: int = 0
    least_iou: float | None = None
    word: str = "IoU"

    def at(self, location: Location, attention: AttentionSpec) -> Effect | None:
        """One effect; None where the study did not try it."""
        return next((e for e in self.effects if (e.location, e.attention) == (location, attention)), None)


def study_effects(records: Sequence[TrialRecord], *, confidence: float = 0.95) -> StudyEffects:
    """The effects in all complete runs of one budget, the one that is ranked.

    They are the posterior of ``effect_model.EffectModel``, for which it does not matter that most trials were
    chosen for the scores before them.

    Args:
        records: of one study, in any order.
        confidence: of the intervals, above 0 and below 1.
    """
    selected, word = select_runs(records), metric_of(records).word
    runs = [
        record
        for record in sorted(records, key=lambda record: record.number)
        if record.budget == selected.budget and comparable_iou(record) is not None
    ]
    if len(runs) < LEAST_RUNS:
        few = len(selected.runs), len(runs), selected.left_out, len(runs)
        return StudyEffects((), (), (), confidence, *few, word=word)
    ious, least, n_raised = _tamed(np.array([comparable_iou(record) for record in runs], dtype=float))
    table = _Table.of(runs, ious)
    # The effects' own spread is told by no more effects than there are.
    z = two_sided_quantile(confidence, len(table.held))
    effects = table.effects(z)
    interactions = table.interactions(z)
    return StudyEffects(
        effects=effects,
        interactions=tuple(pair for pair in interactions if pair.interval.excludes(0.0)),
        redundancies=table.redundancies(effects, interactions, z),
        confidence=confidence,
        n_placements=len({record.placement for record in runs[:MOST_RUNS]}),
        n_runs=min(len(runs), MOST_RUNS),
        left_out=selected.left_out,
        n_complete=len(runs),
        n_raised=n_raised,
        least_iou=least,
        word=word,
    )


def _tamed(ious: Array) -> tuple[Array, float, int]:
    """Collapsed runs raised to five spreads below the median, or a linear model would explain little else.

    Returns:
        the IoUs, the least of them, and how many were raised to it.
    """
    low, middle, high = np.quantile(ious, (0.25, 0.5, 0.75))
    least = float(middle - _FAR * max((high - low) / 1.349, 1e-6))
    return ious.clip(min=least), least, int((ious < least).sum())


@dataclass(frozen=True, eq=False)
class _Table:
    """A model with the names of its codes, in units of IoU."""

    locations: tuple[Location, ...]
    specs: tuple[AttentionSpec, ...]
    held: Counter[Choice]
    held_pairs: Counter[tuple[Choice, Choice]]
    model: EffectModel
    scale: float

    @classmethod
    def of(cls, records: Sequence[TrialRecord], ious: Array) -> _Table:
        locations = tuple(location for location, _ in records[0].placement)
        specs = (NONE, *sorted({spec for r in records for _, spec in r.placement} - {NONE}, key=str))
        codes = {spec: code for code, spec in enumerate(specs)}
        seeds = {seed: number for number, seed in enumerate(dict.fromkeys(r.seed for r in records))}
        table = {r.placement: [codes[spec] for _, spec in r.placement] for r in records}
        every = np.array([table[r.placement] for r in records])
        numbers = np.array([seeds[r.seed] for r in records])
        scale = max(float(within_groups(ious, numbers).std()), 1e-6)
        runs = Runs(
            codes=every,
            seeds=numbers,
            scores=(ious - ious.mean()) / scale,
            n_choices=tuple(len({0, *column}) for column in every.T.tolist()),
        )
        used: dict[Placement, list[Choice]] = {
            r.placement: [(place, code) for place, code in enumerate(table[r.placement]) if code]
            for r in records[:MOST_RUNS]
        }
        held = Counter(choice for choices in used.values() for choice in choices)
        pairs = Counter(pair for choices in used.values() for pair in combinations(choices, 2))
        return cls(locations, specs, held, pairs, EffectModel.learn(runs), scale)

    def module(self, choice: Choice) -> Module:
        return self.locations[choice[0]], self.specs[choice[1]]

    def effects(self, z: float) -> tuple[Effect, ...]:
        """Of all attentions that the study tried."""
        choices = sorted(self.held)
        estimates = zip(choices, self.model.added(choices), strict=True)
        return tuple(
            Effect(*self.module(choice), *self._scaled(estimate, z), self.held[choice])
            for choice, estimate in estimates
        )

    def interactions(self, z: float) -> list[Interaction]:
        """All pairs that occur often enough, the strongest first."""
        pairs = sorted(pair for pair, number in self.held_pairs.items() if number >= _LEAST_TOGETHER)
        found = []
        for pair, estimate in zip(pairs, self.model.pairs(pairs), strict=True):
            mean, interval = self._scaled(estimate, z)
            one, other = (self.module(choice) for choice in pair)
            found.append(Interaction(one, other, mean, interval, self.held_pairs[pair]))
        return sorted(found, key=lambda pair: -abs(pair.mean))

    def redundancies(
        self, effects: Sequence[Effect], interactions: Sequence[Interaction], z: float
    ) -> tuple[Redundancy, ...]:
        """Of pairs that surely stand in each other's way, those of which one then adds nothing."""
        helps = {(effect.location, effect.attention) for effect in effects if effect.interval.low > 0}
        found = []
        for pair in interactions:
            if pair.interval.high >= 0:
                continue
            for module, beside in ((pair.one, pair.other), (pair.other, pair.one)):
                if module in helps and beside in helps and (redundant := self._redundancy(module, beside, z)):
                    found.append(redundant)
        return tuple(found)

    def _redundancy(self, module: Module, beside: Module, z: float) -> Redundancy | None:
        choice, other = self._choice(module), self._choice(beside)
        (alone, without), (together, interval) = (
            self._scaled(estimate, z) for estimate in self.model.beside(choice, other)
        )
        if without.low <= 0 or interval.low > 0:
            return None
        return Redundancy(module, beside, alone, together, interval)

    def _choice(self, module: Module) -> Choice:
        return self.locations.index(module[0]), self.specs.index(module[1])

    def _scaled(self, estimate: tuple[float, float], z: float) -> tuple[float, Interval]:
        mean, deviation = (self.scale * value for value in estimate)
        return mean, Interval(mean - z * deviation, mean + z * deviation)


def effects_json(effects: StudyEffects, notes: Sequence[str]) -> str:
    """An object with the lists ``effects``, ``interactions`` and ``redundancies``; IoU is a fraction of 1.

    Args:
        effects: of a study.
        notes: sentences that go with them.
    """
    written = {
        "confidence": effects.confidence,
        "n_placements": effects.n_placements,
        "n_runs": effects.n_runs,
        "effects": [
            {**_parts((effect.location, effect.attention)), **_estimate(effect)} for effect in effects.effects
        ],
        "interactions": [
            {"one": _parts(pair.one), "other": _parts(pair.other), **_estimate(pair)}
            for pair in effects.interactions
        ],
        "redundancies": [
            {
                **_parts(redundancy.module),
                "beside": _parts(redundancy.beside),
                "effect_alone": redundancy.alone,
                "effect_beside": redundancy.together,
                "ci_low": redundancy.interval.low,
                "ci_high": redundancy.interval.high,
            }
            for redundancy in effects.redundancies
        ],
        "notes": list(notes),
    }
    return json.dumps(written, indent=2, allow_nan=False)


def _parts(module: Module) -> dict[str, str]:
    return {"location": str(module[0]), "attention": str(module[1])}


def _estimate(found: Effect | Interaction) -> dict[str, float | int]:
    return {
        "effect": found.mean,
        "ci_low": found.interval.low,
        "ci_high": found.interval.high,
        "n_placements": found.n_placements,
    }
