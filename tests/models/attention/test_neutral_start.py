"""The neutral start: the network computes what it would without the module, and the last layer learns at once."""

from __future__ import annotations

import copy
import pickle

import pytest
import torch
from torch import Tensor, nn

from nas_attn.models.attention import build_attention
from nas_attn.models.attention._neutral import from_zero, scaled, starts_at_zero
from nas_attn.models.catalogue import catalogue
from nas_attn.models.placement import AttentionSpec
from nas_attn.training import initialise

CHANNELS = 8
EXACT = (
    *(
        "se",
        "se(bias=false)",
        "eca",
        "cbam",
        "cbam(kernel_size=3)",
        "scse",
        "scse(fusion=max)",
        "scse(fusion=concat)",
    ),
    *("ca", "gate", "spatial", "spatial(norm=false)", "triplet", "bam", "bam(variant=code)", "fca", "srm"),
    *("ge(parameters=conv)", "ge(parameters=mlp)", "strip", "gsop", "gala", "gala(variant=code)"),
    *("encnet", "encnet(variant=code)", "linear", "vit"),
)
NEARLY = {"simam": 0.1, "ge": 0.1, "ge(extent=global)": 0.1}
"""Kinds without a last layer: their gate has about mean 1."""
MIXES = ("dynamic",)
"""Kinds without a gate, whose hidden units fire."""


def _map(seed: int = 0) -> Tensor:
    """What a block gives: normalised and rectified."""
    x = torch.randn((6, CHANNELS, 12, 10), generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return (x - x.mean((0, 2, 3), keepdim=True)).div(x.std((0, 2, 3), keepdim=True)).relu()


def _new(text: str, seed: int = 3) -> nn.Module:
    spec = AttentionSpec.parse(text)
    module = build_attention(spec, CHANNELS, 2 * CHANNELS, classes=3)
    initialise(module, seed)
    return module.double().train()


def _given(text: str) -> list[Tensor]:
    gate = torch.randn((6, 2 * CHANNELS, 6, 5), generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    return [_map(), gate] if text.startswith("gate") else [_map()]


@pytest.mark.parametrize("text", EXACT)
def test_a_module_changes_nothing_at_the_start(text):
    torch.testing.assert_close(_new(text)(*_given(text)), _map(), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("text", NEARLY)
def test_a_gate_without_a_last_layer_has_mean_1_on_what_a_block_gives(text):
    x = _map()
    weights = (_new(text)(x)[x > 0] / x[x > 0]).mean()
    assert weights.item() == pytest.approx(1, abs=NEARLY[text] + 0.05)


@pytest.mark.parametrize("text", ["gate(variant=oktay)", "scse(fusion=mul)"])
def test_where_the_module_cannot_be_the_identity_its_gates_are_1_all_the_same(text):
    module, given = _new(text), _given(text)
    x = given[0]
    expected = x * x if text.startswith("scse") else module.gate.project(x)
    torch.testing.assert_close(module(*given), expected)


@pytest.mark.parametrize("text", EXACT)
def test_every_weight_learns_within_six_steps(text):
    module, given = _new(text), _given(text)
    before = {name: parameter.detach().clone() for name, parameter in module.named_parameters()}
    optimiser = torch.optim.Adam(module.parameters(), lr=0.01)
    target = torch.randn_like(given[0])
    for _ in range(6):  # max passes a gradient to one of two gates at a time
        optimiser.zero_grad()
        (module(*given) - target).square().mean().backward()
        optimiser.step()
    idle = {name for name, parameter in module.named_parameters() if torch.equal(parameter, before[name])}
    assert idle <= {"key.bias", "presence.weight", "presence.bias"}  # softmax does not see the first


@pytest.mark.parametrize("text", ["se", "cbam", "gate", "linear"])
def test_what_stands_last_has_a_gradient_at_step_0(text):
    module, given = _new(text), _given(text)
    (module(*given) * torch.randn_like(given[0])).sum().backward()
    last = [child for child in module.modules() if starts_at_zero(child)]
    assert last
    assert all(parameter.grad.abs().max() > 0 for child in last for parameter in child.parameters())


def test_every_kind_has_a_neutral_start_or_starts_so_already_or_is_named_here():
    as_published = {
        "psa",
        "hard",
        "ram",
        "condconv",
        "dcn",
        "highway",
        "scconv",
        "sk",
        "ran",
        "tam",
        "gltr",
    }
    kinds = catalogue()
    assert {
        name
        for name in kinds
        if name != "none" and not kinds[name].neutral_start and not kinds[name].starts_as_identity
    } <= as_published
    tried = {AttentionSpec.parse(text).kind for text in (*EXACT, *NEARLY, *MIXES)}
    assert tried == {name for name in kinds if kinds[name].neutral_start}


def test_a_start_from_zero_outlives_copies_and_new_draws():
    layer = from_zero(nn.Linear(3, 2))
    for one in (layer, copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        whole = nn.Sequential(nn.Linear(3, 3), one)
        initialise(whole, 0)
        assert starts_at_zero(one)
        assert whole[0].weight.count_nonzero()
        assert not one.weight.count_nonzero()
        assert not one.bias.count_nonzero()


def test_a_layer_that_is_not_to_start_from_zero_is_left_alone():
    layer = from_zero(nn.Linear(3, 2), neutral=False)
    assert not starts_at_zero(layer)
    assert layer.weight.count_nonzero()


def test_a_gain_of_1_costs_nothing():
    weights = torch.ones(2)
    assert scaled(weights, 1.0) is weights
    assert torch.equal(scaled(weights, 4.0), torch.full((2,), 4.0))


@pytest.mark.parametrize("name", ["se", "cbam", "gate"])
def test_other_weights_start_as_with_the_papers_start(name):
    neutral, paper = _new(name), _new(f"{name}(start=paper)")
    for key, weight in paper.named_parameters():
        own = neutral.get_parameter(key)
        assert torch.equal(own, weight) or not own.count_nonzero() or key == "perceptron.squeeze.bias"


@pytest.mark.parametrize("kind", ["se", "cbam", "scse", "gala"])
def test_all_hidden_units_of_a_perceptron_fire_at_the_start(kind):
    """With the published start half of them do not, for any image."""
    firing = {}
    for start in ("neutral", "paper"):
        fired = []
        for seed in range(5):
            module = _new(f"{kind}(start={start})", seed)
            hidden = module.perceptron.squeeze(_map().mean((2, 3)))
            fired.append((hidden > 0).double().mean().item())
        firing[start] = sum(fired) / 5
    assert firing["neutral"] == 1
    assert firing["paper"] < 0.8
