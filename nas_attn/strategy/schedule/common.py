"""Runs with common seeds before the first proposal: from then on it is known how loud the noise is."""

from __future__ import annotations

from collections.abc import Sequence

from nas_attn.budget import Budget
from nas_attn.models.placement import Placement
from nas_attn.record import Role
from nas_attn.strategy.evaluation import Evaluation
from nas_attn.strategy.schedule.reference_architectures import PLAIN

N_COMPARED = 2
"""Controls that run with the common seeds: the cheapest one, and the cheapest of another kind."""
_MOST_SEEDS = 2
_TRIALS_PER_SEED = 24


def n_common_seeds(n_trials: int) -> int:
    """Seeds beside the first: two, one in a small study, none in a tiny one."""
    return min(_MOST_SEEDS, n_trials // _TRIALS_PER_SEED)


def common_evaluations(
    plain: Placement, controls: Sequence[Evaluation], budget: Budget, seed: int, n_trials: int
) -> list[Evaluation]:
    """The plain U-Net and two cheap controls with further seeds, seed by seed.

    Two cheap placements are enough: noise is pooled over all placements. They are not chosen for their scores, so
    that these runs can also be reported.

    Args:
        plain: the plain U-Net.
        controls: the study's first ones at this budget, in the order in which they are compared.
        budget: that is ranked.
        seed: with which they ran.
        n_trials: of the study.
    """
    names = {control.placement: control.control for control in controls if control.placement.attended}
    compared = {plain: PLAIN, **dict(list(names.items())[:N_COMPARED])}
    return [
        Evaluation(placement, budget, seed + number, Role.CONTROL, name)
        for number in range(1, 1 + n_common_seeds(n_trials))
        for placement, name in compared.items()
    ]
