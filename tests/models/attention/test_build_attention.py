"""From a spec to a module, or to what is wrong with the spec."""

from __future__ import annotations

import pytest
import torch

from nas_attn.errors import AttentionError, RegistryError
from nas_attn.models.attention import IdentityStart, build_attention
from nas_attn.models.attention.gate import AttentionGate, OktayGate
from nas_attn.models.attention.none import NoAttention
from nas_attn.models.attention.pam import PositionAttention
from nas_attn.models.attention.se import SqueezeExcite
from nas_attn.models.catalogue import KINDS, catalogue
from nas_attn.models.kind import Family
from nas_attn.models.placement import AttentionSpec, Stage


def test_the_required_eight_are_found():
    assert {"none", "se", "eca", "cbam", "scse", "ca", "gate", "pam"} <= set(catalogue())


def test_catalogue_names_every_kind_by_its_own_name():
    assert [(name, kind.name) for name, kind in catalogue().items()] == [(name, name) for name in KINDS]


def test_spec_becomes_a_module_with_its_options():
    module = build_attention(AttentionSpec.parse("se(reduction=8, bias=false)"), 64)
    assert isinstance(module, SqueezeExcite)
    assert module.perceptron.squeeze.out_features == 8
    assert module.perceptron.squeeze.bias is None


def test_gate_gets_the_channels_of_its_gating_signal():
    module = build_attention(AttentionSpec.parse("gate(variant=oktay)"), 8, gate_channels=12)
    assert isinstance(module, AttentionGate)
    assert isinstance(module.gate, OktayGate)
    assert module.gate.phi.in_channels == 12


def test_gating_signal_is_left_alone_by_kinds_that_need_none():
    assert isinstance(build_attention(AttentionSpec("se"), 8, gate_channels=16), SqueezeExcite)


def test_identity_start_wraps_the_module_of_the_paper():
    module = build_attention(AttentionSpec.parse("se(start=identity)"), 8)
    assert isinstance(module, IdentityStart)
    assert isinstance(module.module, SqueezeExcite)


def test_pam_is_not_wrapped_since_two_factors_of_zero_would_never_move():
    module = build_attention(AttentionSpec.parse("pam(start=identity)"), 8)
    assert isinstance(module, PositionAttention)
    assert catalogue()["pam"].starts_as_identity


def test_none_costs_nothing_and_draws_no_random_number():
    torch.manual_seed(0)
    before = torch.get_rng_state()
    module = build_attention(AttentionSpec("none"), 8)
    x = torch.ones(1, 8, 2, 2)
    assert module(x) is x
    assert isinstance(module, NoAttention)
    assert list(module.parameters()) == list(module.buffers()) == []
    assert torch.equal(before, torch.get_rng_state())


def test_kinds_are_confined_to_where_there_is_what_they_need():
    for name, kind in catalogue().items():
        if kind.needs_gate:
            allowed = (Stage.SKIP, Stage.DECODER)
        elif kind.family in (Family.CONVOLUTION, Family.BLOCK) or name == "ram":  # it takes what a block made
            allowed = (Stage.ENCODER, Stage.BOTTLENECK, Stage.DECODER)
        else:
            allowed = tuple(Stage)
        assert kind.stages == allowed, name


def test_unknown_kind_is_refused_with_the_nearest_name():
    with pytest.raises(RegistryError, match=r"^unknown attention 'cbm'; did you mean 'cbam'\?$"):
        build_attention(AttentionSpec("cbm"), 8)


def test_every_wrong_option_is_named_at_once():
    with pytest.raises(AttentionError) as refused:
        build_attention(AttentionSpec.parse("cbam(reduktion=4, kernel_size=5, start=late)"), 8)
    assert refused.value.problems == (
        "cbam: kernel_size is 5; it must be 3 | 7",
        "cbam has no option 'reduktion'; did you mean 'reduction'?",
        "cbam: start is 'late'; it must be neutral | paper | identity",
    )


def test_none_has_no_options():
    with pytest.raises(AttentionError, match=r"^none has no option 'start'; it takes none$"):
        build_attention(AttentionSpec.parse("none(start=identity)"), 8)


def test_gate_is_refused_where_no_gating_signal_exists():
    found = r"^gate needs a gating signal, and there is none here; it can be placed at skips and decoders$"
    with pytest.raises(AttentionError, match=found):
        build_attention(AttentionSpec("gate"), 8)


@pytest.mark.parametrize("name", [name for name, kind in catalogue().items() if kind.family is Family.BLOCK])
def test_what_goes_around_a_block_is_refused_where_there_is_none(name):
    found = (
        rf"^{name} goes around a block and there is none here; "
        rf"it can be placed at encoders, bottlenecks and decoders$"
    )
    with pytest.raises(AttentionError, match=found):
        build_attention(AttentionSpec(name), 8)


@pytest.mark.parametrize("name", sorted(catalogue()))
@pytest.mark.parametrize("channels", [0, -4, 2.0, True], ids=str)
def test_channels_must_be_a_whole_number_of_at_least_one(name, channels):
    with pytest.raises(AttentionError, match=rf"^{name}: channels is {channels!r}; it must be a whole number of"):
        build_attention(AttentionSpec(name), channels, gate_channels=4, block_channels=4, frames=2)
