"""What a study evaluates first, and who gets further seeds."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from nas_attn.analysis.convergence import plain_convergence
from nas_attn.analysis.noise import Noise, PooledSd
from nas_attn.budget import Budget
from nas_attn.models.build import attention_modules, build_network
from nas_attn.models.catalogue import catalogue
from nas_attn.models.placement import AttentionSpec, Location, Placement, Stage
from nas_attn.record import Role, State, TrialRecord
from nas_attn.space import SearchSpace, read_space
from nas_attn.strategy.schedule.reference_architectures import _named_placements, reference_evaluations
from nas_attn.training.evaluation import LookupEvaluator

BUDGET = Budget(400, 32, 8)


def references_of(space: SearchSpace, allowed: Any = lambda _: True) -> dict[str | None, Placement]:
    return {one.reference: one.placement for one in reference_evaluations(space, (BUDGET,), 0, allowed)}


def record(number: int, placement: Placement, seed: int, iou: float, evaluator: LookupEvaluator) -> TrialRecord:
    outcome = evaluator(placement, BUDGET, seed)
    outcome = replace(outcome, score=replace(outcome.score, iou=iou))
    return TrialRecord(number, placement, BUDGET, seed, Role.PROPOSAL, State.COMPLETE, outcome=outcome)


def test_the_plain_unet_is_first_and_shows_its_curve_at_the_end() -> None:
    space = read_space("unet_attention", catalogue(), base_channels=8, image_size=32)
    first, *_, half, twice = reference_evaluations(space, (BUDGET,), 0, lambda _: True)

    assert [one.placement for one in (first, half, twice)] == [space.plain] * 3
    assert [one.budget.steps for one in (first, half, twice)] == [400, 200, 800]


def test_every_kind_stands_everywhere_it_may() -> None:
    space = read_space("unet_attention", catalogue(), base_channels=8, image_size=32)
    references = references_of(space)

    assert {location.stage for location, _ in references["gate everywhere"].attended} == {
        Stage.SKIP,
        Stage.DECODER,
    }
    assert len(references["se everywhere"].attended) == 13
    assert {str(location) for location, _ in references["scse in the decoder, as in smp"].attended} == {
        f"decoder.{level}" for level in range(4)
    }
    assert {str(location) for location, _ in references["Attention U-Net"].attended} == {
        f"skip.{level}" for level in range(4)
    }


@pytest.mark.parametrize(
    ("gates", "name", "taken"),
    [
        ("gate", "Attention U-Net", "gate"),
        ("{kind: gate, signal: coarse}, gate", "Attention U-Net", "gate"),
        ("{kind: gate, signal: coarse}", "Attention U-Net, coarse gating signal", "gate(signal=coarse)"),
        ("{kind: gate, variant: oktay}", "Attention U-Net, variant oktay", "gate(variant=oktay)"),
    ],
)
def test_attention_u_net_has_the_common_gate_or_says_which(
    gates: str, name: str, taken: str, tmp_path: Path
) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(
        f"version: 1\nname: x\nnetwork: {{family: unet, depth: 2}}\nchoices: {{skip: [none, {gates}]}}\n"
    )
    space = read_space(path, catalogue(), base_channels=8, image_size=32)
    named = dict(_named_placements(space))

    assert {str(spec) for _, spec in named[name].attended} == {taken}


def test_references_that_break_a_limit_are_left_out_but_never_the_plain_unet() -> None:
    space = read_space("unet_attention", catalogue(), base_channels=8, image_size=32)

    assert set(references_of(space, lambda _: False)) == {
        "plain",
        "plain, half the steps",
        "plain, twice the steps",
    }


def test_no_reference_is_evaluated_twice(space: SearchSpace) -> None:
    evaluations = reference_evaluations(space, (BUDGET,), 0, lambda _: True)

    assert len({(one.placement, one.budget) for one in evaluations}) == len(evaluations)


def curve(space: SearchSpace, evaluator: LookupEvaluator, ious: dict[int, float], noise: float) -> Any:
    records = [
        replace(record(number, space.plain, 0, iou, evaluator), budget=replace(BUDGET, steps=steps))
        for number, (steps, iou) in enumerate(ious.items())
    ]
    return plain_convergence(records, BUDGET, Noise(None, PooledSd(noise, 4.0)))


def test_a_baseline_that_has_flattened_says_nothing_of_differences(
    space: SearchSpace, evaluator: LookupEvaluator
) -> None:
    assert curve(space, evaluator, {200: 0.5, 400: 0.695, 800: 0.70}, 0.001).converged is None


def test_twice_the_steps_for_more_than_the_seeds_bring_is_no_convergence(
    space: SearchSpace, evaluator: LookupEvaluator
) -> None:
    assert curve(space, evaluator, {200: 0.5, 400: 0.6, 800: 0.70}, 0.01).converged is False


def test_a_gain_that_seeds_may_bring_is_not_known(space: SearchSpace, evaluator: LookupEvaluator) -> None:
    assert curve(space, evaluator, {400: 0.66, 800: 0.70}, 0.05).converged is None


def test_a_doubling_that_brings_a_fifth_is_no_convergence_however_loud_the_seeds(
    space: SearchSpace, evaluator: LookupEvaluator
) -> None:
    assert curve(space, evaluator, {400: 0.64, 800: 0.87}, 0.10).converged is False


def test_one_point_is_no_curve(space: SearchSpace, evaluator: LookupEvaluator) -> None:
    found = curve(space, evaluator, {400: 0.7}, 0.01)

    assert (found.gain, found.converged) == (None, None)
    assert Location(Stage.SKIP) in dict(space.choices)
    assert AttentionSpec("none") in dict(space.choices)[Location(Stage.SKIP)]


def test_the_plain_unets_short_run_from_its_own_weights_is_no_point_of_its_curve(
    space: SearchSpace, evaluator: LookupEvaluator
) -> None:
    ious = {200: 0.5, 400: 0.695}
    records = [
        replace(record(number, space.plain, 0, iou, evaluator), budget=replace(BUDGET, steps=steps))
        for number, (steps, iou) in enumerate(ious.items())
    ]
    again = replace(record(2, space.plain, 0, 0.7, evaluator), budget=replace(BUDGET, steps=200, pretraining=400))

    assert plain_convergence([*records, again], BUDGET, Noise(None, None)).points == ((200, 0.5), (400, 0.695))


@pytest.mark.parametrize("name", ["unet_attention", "unet_attention_small"])
def test_scse_in_the_decoder_is_exactly_that_of_smp(name: str) -> None:
    """The module of smp itself, given our weights: as many of them, and the same maps."""
    smp = pytest.importorskip("segmentation_models_pytorch", reason="needs pip install -e '.[reference]'")
    space = read_space(name, catalogue(), base_channels=16, image_size=32)
    ours = attention_modules(build_network(space.network, references_of(space)["scse in the decoder, as in smp"]))
    assert set(ours) == {f"decoder.{level}" for level in range(space.network.depth)}
    for place, module in ours.items():
        channels = space.network.channels_at(Location.parse(place))
        theirs = smp.base.modules.SCSEModule(channels)
        weights = list(module.state_dict().values())
        assert sum(one.numel() for one in weights) == sum(one.numel() for one in theirs.parameters())
        named = dict(module.named_parameters())
        pairs = {"cSE.1": "perceptron.squeeze", "cSE.3": "perceptron.excite", "sSE.0": "conv"}
        wanted = theirs.state_dict()
        for their, mine in pairs.items():
            for part in ("weight", "bias"):
                torch.nn.init.normal_(named[f"{mine}.{part}"], generator=torch.Generator().manual_seed(channels))
                wanted[f"{their}.{part}"] = (
                    named[f"{mine}.{part}"].detach().clone().view(wanted[f"{their}.{part}"].shape)
                )
        wanted["cSE.1.weight"] *= min(1.0, 8 / channels)  # the squeezing layer keeps its weights so much larger
        theirs.load_state_dict(wanted)
        x = torch.randn(2, channels, 6, 5)
        torch.testing.assert_close(module(x), theirs(x))


def test_where_the_decoder_has_no_scse_there_is_no_reference_of_it() -> None:
    space = read_space("unet_attention_skips", catalogue(), base_channels=16, image_size=32)
    assert "scse in the decoder, as in smp" not in references_of(space)
