"""One rule for the width of every bottleneck that ends in a rectifier, and what it is good for."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from torch import nn

from nas_attn.data import synthetic
from nas_attn.models.attention import build_attention
from nas_attn.models.catalogue import catalogue
from nas_attn.models.network import UNetConfig
from nas_attn.models.placement import AttentionSpec, Placement
from nas_attn.models.unet import build_unet
from nas_attn.training import initialise

SQUEEZES = {
    "se": "perceptron.squeeze",
    "cbam": "perceptron.squeeze",
    "scse": "perceptron.squeeze",
    "fca": "perceptron.squeeze",
    "bam": "channel.0",
    "ca": "squeeze",
    "ge(parameters=mlp)": "perceptron.squeeze",
    "gala": "perceptron.squeeze",
    "dynamic": "squeeze",
    "sk": "squeeze",
}
REDUCTIONS = {"scse": 2, "ca": 32, "gala": 4, "dynamic": 4}


@pytest.mark.parametrize("channels", [8, 64, 512])
@pytest.mark.parametrize("spec", SQUEEZES)
def test_hidden_channels_are_those_of_the_paper_but_at_least_8(spec, channels):
    kind = AttentionSpec.parse(spec).kind
    least = {option.name: option.default for option in catalogue()[kind].options}["min_hidden"]
    module = build_attention(AttentionSpec.parse(spec), channels, block_channels=channels)
    squeezed = module.get_submodule(SQUEEZES[spec]).weight.shape[0]
    assert least == (32 if kind == "sk" else 8)  # SKNet's own
    assert squeezed == max(least, channels // REDUCTIONS.get(kind, 16))


@pytest.mark.parametrize("spec", SQUEEZES)
def test_the_papers_width_can_be_had_on_a_narrow_map(spec):
    parsed = AttentionSpec.parse(spec)
    narrow = AttentionSpec(parsed.kind, (*parsed.options, ("min_hidden", 1)))
    module = build_attention(narrow, 8, block_channels=8)
    hidden = max(1, 8 // REDUCTIONS.get(parsed.kind, 16))
    assert module.get_submodule(SQUEEZES[spec]).weight.shape[0] == hidden


def _note(fired: dict[nn.Module, bool], layer: nn.Module, _: object, hidden: torch.Tensor) -> None:
    fired[layer] = bool((hidden > 0).any())


def _dead(spec: str, seeds: int) -> int:
    """Modules of the narrowest preset of which no hidden unit fires for any of 16 images, over all seeds."""
    network = UNetConfig(3, 3, depth=4, base_channels=8)
    data = synthetic(image_size=32, n_train=16, n_val=1, n_test=1)
    images = torch.stack(data.train.images).float()
    images = (images - images.mean((0, 2, 3), keepdim=True)) / images.std((0, 2, 3), keepdim=True)
    dead = 0
    for seed in range(seeds):
        module = build_unet(network, Placement.of(dict.fromkeys(network.locations, AttentionSpec.parse(spec))))
        initialise(module, seed)
        fired: dict[nn.Module, bool] = {}
        for name, child in module.named_modules():
            if name.endswith("perceptron.squeeze"):
                child.register_forward_hook(partial(_note, fired))
        with torch.no_grad():
            module.train()(images)
        assert len(fired) == len(network.locations)
        dead += sum(not fires for fires in fired.values())
    return dead


@pytest.mark.parametrize("kind", ["se", "cbam"])
def test_attention_of_a_narrow_network_is_alive_with_8_hidden_channels_and_often_not_with_1(kind):
    assert _dead(f"{kind}(min_hidden=1, start=paper)", seeds=8) >= 10  # of 104
    assert _dead(f"{kind}(start=paper)", seeds=8) <= 1
    assert _dead(kind, seeds=8) == 0
