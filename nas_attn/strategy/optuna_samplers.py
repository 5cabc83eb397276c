"""Optuna samplers as strategies: the records become an in-memory study, from which the sampler proposes."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.samplers import BaseSampler
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState, create_trial

from nas_attn.models.placement import Placement
from nas_attn.space import SearchSpace
from nas_attn.strategy.new_placements import nearest_new, newness
from nas_attn.strategy.question import Question, generator
from nas_attn.strategy.seed_effects import Known, known_placements

DIRECTIONS = (StudyDirection.MAXIMIZE, StudyDirection.MINIMIZE)

Attributes = Callable[[Known], dict[str, Any]]
"""System attributes that a sampler needs in a finished trial."""


def ask(
    question: Question,
    sampler: BaseSampler,
    *,
    attempts: int,
    attributes: Attributes = lambda known: {},
    failed_as: TrialState = TrialState.FAIL,
) -> tuple[Placement, Mapping[str, Any]] | None:
    """The sampler's first new proposal; if it makes none, the new placement that is nearest to its first proposal.

    Args:
        question: what the sampler is told.
        sampler: fresh and seeded.
        attempts: number of proposals that it may make. A rejected proposal stays a running trial of the rebuilt
            study, so that a sampler that takes running trials into account proposes something else.
        attributes: system attributes of a placement's trial.
        failed_as: state of a trial whose placement has never succeeded.
    Returns:
        the placement, and the system attributes that the sampler gave the trial; None if no new placement is left.
    """
    study = rebuild(question, sampler, attributes, failed_as)
    distributions = _distributions(question.space)
    is_new = newness(question)
    proposals = (_placement(question.space, study.ask(distributions).params) for _ in range(attempts))
    first = next(proposals)
    wanted = first if is_new(first) else next(filter(is_new, proposals), first)
    placement = nearest_new(question, is_new, wanted, generator(question))
    if placement is None:
        return None
    return placement, study.get_trials(deepcopy=False)[-1].system_attrs


def rebuild(
    question: Question,
    sampler: BaseSampler,
    attributes: Attributes = lambda known: {},
    failed_as: TrialState = TrialState.FAIL,
) -> optuna.Study:
    """The study that the sampler would have seen: one trial per placement, with the values (iou, cost).

    A known placement that runs again with another seed stays complete. Reference architectures outside the space
    are left out, because the sampler cannot represent them.
    """
    # Optuna logs the birth of every in-memory study; here one is born for every proposal.
    logging.getLogger("optuna.storages._in_memory").setLevel(logging.WARNING)
    storage = optuna.storages.InMemoryStorage()
    study = optuna.create_study(storage=storage, sampler=sampler, directions=DIRECTIONS)
    distributions = _distributions(question.space)
    known = [entry for entry in known_placements(question.records) if question.space.contains(entry.placement)]
    for entry in known:
        values = None if entry.iou is None else (entry.iou, question.cost(entry.placement))
        state = TrialState.COMPLETE if values else failed_as
        study.add_trial(_trial(entry.placement, distributions, state, values, attributes(entry)))
    unknown = set(question.pending) - {entry.placement for entry in known}
    for placement in sorted(filter(question.space.contains, unknown), key=str):
        study.add_trial(_trial(placement, distributions, TrialState.RUNNING))
    return study


def _trial(
    placement: Placement,
    distributions: dict[str, BaseDistribution],
    state: TrialState,
    values: tuple[float, float] | None = None,
    attributes: dict[str, Any] | None = None,
) -> FrozenTrial:
    return create_trial(
        state=state,
        values=values,
        params=placement.to_dict(),
        distributions=distributions,
        system_attrs=attributes,
    )


class _SharedCategorical(CategoricalDistribution):
    """A distribution that all trials of a study share.

    Optuna copies the distributions of every added trial and compares them choice by choice. This takes two thirds
    of the time of a proposal after a thousand trials.
    """

    def __deepcopy__(self, memo: dict[int, object]) -> _SharedCategorical:
        return self

    def __eq__(self, other: object) -> bool:
        return self is other or super().__eq__(other)

    __hash__ = CategoricalDistribution.__hash__


def _distributions(space: SearchSpace) -> dict[str, BaseDistribution]:
    return {str(location): _SharedCategorical([str(kind) for kind in kinds]) for location, kinds in space.choices}


def _placement(space: SearchSpace, params: Mapping[str, str]) -> Placement:
    specs = {str(kind): kind for _, kinds in space.choices for kind in kinds}
    return Placement(tuple((location, specs[params[str(location)]]) for location, _ in space.choices))
