"""Reference architectures: what every study evaluates first, and what a result has to beat."""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

from nas_attn.budget import Budget
from nas_attn.models.placement import NONE, AttentionSpec, Location, OptionValue, Placement, Stage
from nas_attn.record import Role
from nas_attn.space import SearchSpace
from nas_attn.strategy.evaluation import Evaluation

PLAIN = "plain"
SMP_NAME = "scse in the decoder, as in smp"
SMP_SCSE: Mapping[str, OptionValue] = MappingProxyType({"reduction": 16, "min_hidden": 1})
"""Options with which ``scse`` equals that of segmentation_models.pytorch."""
OTHER_BUDGETS = {f"{PLAIN}, half the steps": 0.5, f"{PLAIN}, twice the steps": 2.0}
"""The baseline also runs for these multiples of the steps, to show its curve."""


def reference_evaluations(
    space: SearchSpace, ladder: tuple[Budget, ...], seed: int, allowed: Callable[[Placement], bool]
) -> tuple[Evaluation, ...]:
    """The runs of the reference architectures of a study, in order, without those that the space or its limits
    forbid.

    First comes the baseline. Then each kind everywhere it can be placed, scSE in the decoder (exactly that of
    segmentation_models.pytorch, even if the space does not offer its options) and gates on all skips (Attention
    U-Net, Oktay et al. 2018, arXiv:1804.03999). These gates have the common form if the space has it; otherwise
    the name says how they differ. The same architectures run on every lower rung, where they show how well short
    runs predict long ones. Last comes the baseline with half and with twice the steps.

    Args:
        space: the placements.
        ladder: budgets to compare, the shortest first; the runs at the last one come first.
        seed: of all runs.
        allowed: whether a placement is within the limits.
    """
    placements = {space.plain: PLAIN}
    for name, placement in _named_placements(space):
        if placement not in placements and allowed(placement):
            placements[placement] = name
    found = [
        Evaluation(placement, budget, seed, Role.REFERENCE, name)
        for budget in reversed(ladder)
        for placement, name in placements.items()
    ]
    for name, multiple in OTHER_BUDGETS.items():
        other = replace(ladder[-1], steps=max(1, int(ladder[-1].steps * multiple)))
        if other not in ladder:
            found.append(Evaluation(space.plain, other, seed, Role.REFERENCE, name))
    return tuple(found)


def _named_placements(space: SearchSpace) -> list[tuple[str, Placement]]:
    specs = dict.fromkeys(spec for _, choices in space.choices for spec in choices if spec != NONE)
    named = [(f"{spec} everywhere", _fill(space, spec)) for spec in specs]
    gate = _common_gate(specs)
    attention_unet = _fill(space, gate or NONE, (Stage.SKIP,))
    return [*named, (SMP_NAME, _smp(space)), (_attention_unet_name(gate), attention_unet)]


def reference_choices(space: SearchSpace) -> dict[Location, tuple[AttentionSpec, ...]]:
    """What may stand at each location in a study: the space's choices, ``none`` and what reference architectures
    have there."""
    smp = _smp(space)
    return {location: tuple(dict.fromkeys((NONE, *specs, smp[location]))) for location, specs in space.choices}


def _smp(space: SearchSpace) -> Placement:
    """The scSE of segmentation_models.pytorch in the whole decoder, wherever the space has any scSE, otherwise
    none."""
    return Placement(
        tuple(
            (location, _smp_scse(choices) if location.stage is Stage.DECODER else NONE)
            for location, choices in space.choices
        )
    )


def _smp_scse(choices: Sequence[AttentionSpec]) -> AttentionSpec:
    """This scSE with the start of the first scSE among the choices; ``none`` if there is none."""
    offered = next((spec for spec in choices if spec.kind == "scse"), None)
    if offered is None:
        return NONE
    start = {name: value for name, value in offered.options if name == "start"}
    return AttentionSpec("scse", tuple(sorted({**SMP_SCSE, **start}.items())))


def _common_gate(specs: dict[AttentionSpec, None]) -> AttentionSpec | None:
    """The gate of the space that is nearest to the common form."""
    gates = [spec for spec in specs if spec.kind == "gate"]
    return min(gates, key=lambda spec: len(_departures(spec)), default=None)


def _attention_unet_name(gate: AttentionSpec | None) -> str:
    departures = _departures(gate) if gate else []
    return f"Attention U-Net, {', '.join(departures)}" if departures else "Attention U-Net"


def _departures(gate: AttentionSpec) -> list[str]:
    """How a gate differs from that of most Attention U-Nets, whose signal is the up-convolved feature."""
    options = dict(gate.options)
    named = {"variant": "variant {}", "signal": "{} gating signal"}
    return [text.format(options[name]) for name, text in named.items() if name in options]


def _fill(space: SearchSpace, spec: AttentionSpec, stages: Container[Stage] = tuple(Stage)) -> Placement:
    """An attention at each location of some stages that offers it, and none elsewhere."""
    return Placement(
        tuple(
            (location, spec if location.stage in stages and spec in choices else NONE)
            for location, choices in space.choices
        )
    )
