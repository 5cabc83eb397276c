"""What stands inside or around a block leaves the rest of the network as it was."""

from __future__ import annotations

import hashlib

import pytest
import torch
from torch import nn

from nas_attn.errors import NetworkError
from nas_attn.models.build import build_unet
from nas_attn.models.catalogue import catalogue
from nas_attn.models.kind import Family
from nas_attn.models.network import UNetConfig
from nas_attn.models.placement import NONE, AttentionSpec, Placement
from nas_attn.models.unet.layers import Block
from nas_attn.training import initialise

NETWORK = UNetConfig(in_channels=3, classes=2, depth=2, base_channels=4)
ON_BLOCKS = [name for name, kind in catalogue().items() if kind.family in (Family.CONVOLUTION, Family.BLOCK)]
THE_EIGHT = ("none", "se", "eca", "cbam", "scse", "ca", "gate", "pam")


def everywhere(spec: AttentionSpec) -> nn.Module:
    stages = catalogue()[spec.kind].stages
    return build_unet(
        NETWORK,
        Placement(tuple((place, spec if place.stage in stages else NONE) for place in NETWORK.locations)),
    )


def test_the_eight_main_kinds_start_from_the_weights_they_always_started_from() -> None:
    """Names, shapes and values of the neutral start, whatever else the kinds around it come to have."""
    digest = hashlib.sha256()
    for name in THE_EIGHT:
        module = everywhere(AttentionSpec(name))
        initialise(module, 3)
        for key, tensor in module.state_dict().items():
            digest.update(f"{key} {tuple(tensor.shape)}".encode())
            digest.update(tensor.numpy().tobytes())
    assert digest.hexdigest()[:16] == "844d9a9a6defc87f"


@pytest.mark.parametrize("name", ON_BLOCKS)
def test_backbone_starts_alike_with_or_without_a_kind_on_its_blocks(name: str) -> None:
    plain, paper, identity = (
        everywhere(spec) for spec in (NONE, AttentionSpec(name), AttentionSpec(name, (("start", "identity"),)))
    )
    for module in (plain, paper, identity):
        initialise(module, 5)
    for key, tensor in paper.state_dict().items():
        if not key.startswith("attention"):
            assert torch.equal(tensor, plain.state_dict()[key]), key
    left_out = {key for key in plain.state_dict() if key not in paper.state_dict()}
    convolutions = {key for key in plain.state_dict() if key.endswith("conv2.weight")}
    assert left_out == (convolutions if catalogue()[name].family is Family.CONVOLUTION else set())
    x = torch.randn(2, 3, 12, 9, generator=torch.Generator().manual_seed(0))
    exact = catalogue()[name].starts_as_identity
    torch.testing.assert_close(identity(x), plain(x), rtol=1e-3 * exact, atol=1e-3 * exact)


def test_a_block_without_its_second_convolution_says_what_it_lacks() -> None:
    block, x = Block(2, 4, replaced=True), torch.randn(2, 2, 5, 5)
    assert block(x, nn.Identity()).shape == (2, 4, 5, 5)
    with pytest.raises(NetworkError, match=r"second convolution was removed"):
        block(x)
