"""Starting weights: keyed by seed and name, so that two placements with one seed are a pair."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from nas_attn.errors import TrainingError
from nas_attn.models.build import build_unet
from nas_attn.models.network import UNetConfig
from nas_attn.models.placement import AttentionSpec, Location, Placement
from nas_attn.training import initialise

NETWORK = UNetConfig(in_channels=3, classes=2, depth=2, base_channels=4)


def with_attention(place: str, text: str) -> Placement:
    return NETWORK.plain.replace(Location.parse(place), AttentionSpec.parse(text))


def started(placement: Placement, seed: int) -> dict[str, torch.Tensor]:
    module = build_unet(NETWORK, placement)
    initialise(module, seed)
    return module.state_dict()


@pytest.mark.parametrize("text", ["se", "cbam", "scse", "gate", "ca", "pam"])
def test_two_placements_of_one_seed_share_every_backbone_weight(text: str) -> None:
    plain, other = started(NETWORK.plain, 3), started(with_attention("decoder.0", text), 3)

    assert set(plain) < set(other)
    for name, tensor in plain.items():
        assert torch.equal(tensor, other[name]), name


def test_one_attention_starts_alike_whatever_stands_elsewhere() -> None:
    alone = started(with_attention("decoder.0", "se"), 3)
    among = started(with_attention("decoder.0", "se").replace(Location.parse("skip.1"), AttentionSpec("cbam")), 3)

    own = [name for name in alone if name.startswith("attention.decoder_0")]
    assert own
    assert all(torch.equal(alone[name], among[name]) for name in own)


def test_another_seed_draws_every_kernel_anew() -> None:
    one, other = started(NETWORK.plain, 0), started(NETWORK.plain, 1)

    kernels = [name for name, tensor in one.items() if tensor.ndim > 1]
    assert kernels
    assert not any(torch.equal(one[name], other[name]) for name in kernels)


def test_layers_of_one_shape_start_differently() -> None:
    weights = started(NETWORK.plain, 0)

    first, second = weights["decoder.0.conv2.weight"], weights["encoder.0.conv2.weight"]
    assert first.shape == second.shape
    assert not torch.equal(first, second)


def test_what_was_there_before_does_not_matter() -> None:
    module = build_unet(NETWORK, NETWORK.plain)
    initialise(module, 5)
    first = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.fill_(7.0)
    initialise(module, 5)

    assert all(torch.equal(tensor, first[name]) for name, tensor in module.state_dict().items())


def test_the_global_random_stream_is_left_alone() -> None:
    module = build_unet(NETWORK, NETWORK.plain)
    torch.manual_seed(11)
    expected = torch.rand(4)
    torch.manual_seed(11)
    initialise(module, 0)

    assert torch.equal(torch.rand(4), expected)


@pytest.mark.parametrize("text", ["se", "eca", "cbam", "scse", "ca", "pam", "gate"])
def test_the_identity_start_survives(text: str) -> None:
    images = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    spec = f"{text}(start=identity)" if text != "pam" else text  # pam starts as the identity by itself
    outputs = []
    for placement in (NETWORK.plain, with_attention("decoder.1", spec)):
        module = build_unet(NETWORK, placement)
        initialise(module, 2)
        with torch.no_grad():
            outputs.append(module.eval()(images))

    assert torch.equal(*outputs)


class Silent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1))


def test_a_module_that_cannot_be_drawn_is_refused_by_name() -> None:
    module = nn.Sequential(nn.Conv2d(1, 1, 1), Silent())

    with pytest.raises(TrainingError, match=r"no reset_parameters\(\) in 1 \(Silent\)"):
        initialise(module, 0)
    with pytest.raises(TrainingError, match=r"in the module \(Silent\)"):
        initialise(Silent(), 0)


def test_a_refusal_draws_nothing() -> None:
    module = nn.Sequential(nn.Conv2d(1, 1, 1), Silent())
    before = module[0].weight.clone()

    with pytest.raises(TrainingError):
        initialise(module, 0)
    assert torch.equal(module[0].weight, before)
