"""What every study evaluates first: the architectures that a result has to beat."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from nas_attn.budget import Budget
from nas_attn.placement import NONE, AttentionSpec, Location, Placement, Stage
from nas_attn.record import Role
from nas_attn.space import SearchSpace
from nas_attn.study.evaluation import Evaluation

PLAIN = "plain"
OTHER_BUDGETS = {f"{PLAIN}, half the steps": 0.5, f"{PLAIN}, twice the steps": 2.0}
"""The plain U-Net also runs for these multiples of the steps, to show whether it has converged."""


def control_evaluations(
    space: SearchSpace, budget: Budget, seed: int, allowed: Callable[[Placement], bool]
) -> tuple[Evaluation, ...]:
    """The controls of a study, in order; those that the space or its limits forbid are left out.

    First the plain U-Net; then each kind everywhere it may stand, scSE in the decoder (as
    segmentation_models.pytorch offers it) and gates on all skips (Attention U-Net, Oktay et al. 2018,
    arXiv:1804.03999); last the plain U-Net with half and with twice the steps.
    """
    found = [Evaluation(space.plain, budget, seed, Role.CONTROL, PLAIN)]
    seen = {space.plain}
    for name, placement in _named_placements(space):
        if placement not in seen and allowed(placement):
            seen.add(placement)
            found.append(Evaluation(placement, budget, seed, Role.CONTROL, name))
    for name, multiple in OTHER_BUDGETS.items():
        other = replace(budget, steps=max(1, int(budget.steps * multiple)))
        if other != budget:
            found.append(Evaluation(space.plain, other, seed, Role.CONTROL, name))
    return tuple(found)


def _named_placements(space: SearchSpace) -> list[tuple[str, Placement]]:
    specs = dict.fromkeys(spec for _, choices in space.choices for spec in choices if spec != NONE)
    named = [(f"{spec} everywhere", _fill(space, _always(spec))) for spec in specs]
    smp = _fill(space, lambda location: _first(specs, "scse") if location.stage is Stage.DECODER else None)
    attention_unet = _fill(space, lambda location: _first(specs, "gate") if location.stage is Stage.SKIP else None)
    return [*named, ("scse in the decoder", smp), ("Attention U-Net", attention_unet)]


def _fill(space: SearchSpace, wanted: Callable[[Location], AttentionSpec | None]) -> Placement:
    """The wanted attention at each location that offers it, none elsewhere."""
    return Placement(
        tuple(
            (location, spec if (spec := wanted(location)) in choices and spec is not None else NONE)
            for location, choices in space.choices
        )
    )


def _always(spec: AttentionSpec) -> Callable[[Location], AttentionSpec]:
    return lambda _: spec


def _first(specs: dict[AttentionSpec, None], kind: str) -> AttentionSpec | None:
    return next((spec for spec in specs if spec.kind == kind), None)
