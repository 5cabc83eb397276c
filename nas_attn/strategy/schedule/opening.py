"""What a study runs before its first proposal, in order: the noise and the budget first, then all references."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from nas_attn.budget import Budget
from nas_attn.models.placement import Placement
from nas_attn.record import PROBE, Role
from nas_attn.strategy.evaluation import Evaluation, run_key
from nas_attn.strategy.schedule.reference_architectures import PLAIN

_MOST_DOUBLED_SEEDS = 3
_TRIALS_PER_DOUBLED_SEED = 40
PROBED = {PROBE: True}
"""Memory of a run that shows whether a budget is long enough."""

N_COMPARED = 2
"""Controls that run with the common seeds: the cheapest one, and the cheapest of another kind."""
_MOST_FURTHER_SEEDS = 2
_TRIALS_PER_FURTHER_SEED = 24


def n_doubled_seeds(n_trials: int) -> int:
    """Seeds with which the compared reference architectures run for twice the steps, too: three, two in a small
    study, none in a tiny one."""
    seeds = min(_MOST_DOUBLED_SEEDS, n_trials // _TRIALS_PER_DOUBLED_SEED, 1 + n_common_seeds(n_trials))
    return seeds if seeds > 1 else 0


def compared_references(
    controls: Sequence[Evaluation], top: Budget, cost: Callable[[Placement], float]
) -> list[Evaluation]:
    """The reference architectures of the ranked budget, in the order in which they are compared: the cheapest of
    each kind of attention, then the others, the cheapest first.

    Two of one kind would say little of differences between placements.

    Args:
        controls: of the study.
        top: the budget that is ranked.
        cost: of a placement.
    """
    found = [control for control in controls if control.budget == top]
    found.sort(key=lambda control: (cost(control.placement), control.placement.id))
    first = {_kinds(control.placement): control.placement for control in reversed(found)}
    return sorted(found, key=lambda control: first[_kinds(control.placement)] != control.placement)


def opening_evaluations(
    plain: Placement,
    controls: Sequence[Evaluation],
    top: Budget,
    cost: Callable[[Placement], float],
    n_trials: int,
) -> tuple[Evaluation, ...]:
    """All evaluations before the first proposal.

    First the baseline and two cheap reference architectures with common seeds: they tell the noise of a
    paired difference. Then the same for twice the steps, which tell whether the budget is long enough. Then all
    other controls.

    Args:
        plain: the plain U-Net.
        controls: of the study, the plain U-Net's run at the ranked budget first.
        top: the budget that is ranked.
        cost: of a placement.
        n_trials: of the study.
    """
    first = controls[0]
    cheapest = compared_references(controls, top, cost)
    common = common_evaluations(plain, cheapest, top, first.seed, n_trials)
    names = dict.fromkeys(one.placement for one in common if one.placement.attended)
    with_first_seed = [control for control in cheapest if control.placement in names]
    at_top = [first, *with_first_seed, *common]
    last = first.seed + n_doubled_seeds(n_trials)
    doubled = [_doubled(one) for one in at_top if one.seed < last]
    named = {run_key(control): control for control in controls}
    ordered = [named.get(run_key(one), one) for one in (*at_top, *doubled)]
    return tuple({run_key(one): one for one in (*ordered, *controls)}.values())


def _kinds(placement: Placement) -> frozenset[str]:
    return frozenset(spec.kind for _, spec in placement.attended)


def _doubled(one: Evaluation) -> Evaluation:
    return replace(one, budget=one.budget.doubled, memory=PROBED)


def n_common_seeds(n_trials: int) -> int:
    """Seeds beside the first: two, one in a small study, none in a tiny one."""
    return min(_MOST_FURTHER_SEEDS, n_trials // _TRIALS_PER_FURTHER_SEED)


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
