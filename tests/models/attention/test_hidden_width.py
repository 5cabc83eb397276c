"""One rule for the width of every bottleneck that ends in a rectifier, and what it is good for."""

from __future__ import annotations

import itertools
from functools import partial

import pytest
import torch
from torch import nn

from nas_attn.data import smears
from nas_attn.models.attention import build_attention
from nas_attn.models.build import build_unet
from nas_attn.models.catalogue import catalogue
from nas_attn.models.network import UNetConfig
from nas_attn.models.placement import AttentionSpec, Placement
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
    data = smears(image_size=32, n_train=16, n_val=1, n_test=1)
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


HIDDEN = {
    "se": ("perceptron.squeeze",),
    "se(bias=false)": ("perceptron.squeeze",),
    "cbam": ("perceptron.squeeze",),
    "scse": ("perceptron.squeeze",),
    "ge(parameters=mlp)": ("perceptron.squeeze",),
    "gala": ("perceptron.squeeze", "local.0"),
    "bam": ("channel.0", "position.0", "position.2", "position.4"),
    "dynamic": ("squeeze",),
}
"""What stands before each rectifier that no normalisation keeps awake."""


def _dead_units(module: nn.Module, layers: tuple[str, ...], maps: torch.Tensor) -> tuple[int, int]:
    """Hidden units that fire for none of these maps, and how many there are."""
    fires: list[torch.Tensor] = []

    def note(layer: nn.Module, _: object, hidden: torch.Tensor) -> None:
        dim = 1 if isinstance(layer, nn.Conv2d) else hidden.ndim - 1
        fires.append((hidden > 0).movedim(dim, -1).flatten(0, -2).any(0))

    hooks = [module.get_submodule(name).register_forward_hook(note) for name in layers]
    with torch.no_grad():
        module.eval()(maps)
    for hook in hooks:
        hook.remove()
    return int(sum((~one).sum() for one in fires)), sum(one.numel() for one in fires)


def _shaken(spec: str, channels: int, seed: int) -> tuple[int, int]:
    """The dead units of a module after 30 steps in which it must answer something new each time, at the recipe's
    peak rate: twice its input or none of it."""
    module = build_attention(AttentionSpec.parse(spec), channels, block_channels=channels)
    initialise(module, seed)
    draw = torch.Generator().manual_seed(seed)
    maps = torch.randn(8, channels, 6, 6, generator=draw).relu()
    optimiser = torch.optim.AdamW(module.parameters(), lr=2e-2, betas=(0.85, 0.999))
    for step in range(30):
        module.train()
        wanted = maps * (2 if step // 5 % 2 else 0)
        loss = (module(maps) - wanted).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return _dead_units(module, HIDDEN[spec], maps)


@pytest.mark.parametrize("channels", [8, 512], ids="C{}".format)
@pytest.mark.parametrize("spec", HIDDEN)
def test_hidden_units_fire_at_the_neutral_start(spec: str, channels: int) -> None:
    maps = torch.randn(8, channels, 6, 6, generator=torch.Generator().manual_seed(5)).relu()
    module = build_attention(AttentionSpec.parse(spec), channels, block_channels=channels)
    initialise(module, 0)
    dead, units = _dead_units(module, HIDDEN[spec], maps)
    assert dead <= 0.1 * units


@pytest.mark.parametrize(
    ("spec", "channels"),
    [
        pytest.param(spec, channels, marks=[pytest.mark.slow] * (channels == 512 and spec == "dynamic"))
        for spec, channels in itertools.product(HIDDEN, (128, 512))  # bottlenecks of 8 and of 32 base channels
    ],
)
def test_large_steps_kill_no_hidden_units_at_either_width(spec: str, channels: int) -> None:
    counted = [_shaken(spec, channels, seed) for seed in range(3)]
    dead, units = (sum(one[place] for one in counted) for place in (0, 1))
    assert dead <= 0.1 * units


@pytest.mark.parametrize("spec", ["se", "bam", "dynamic"])
def test_a_steady_start_is_the_drawn_one_of_pytorch_and_reaches_the_same(spec: str) -> None:
    """The function at step 0 is that of ``nn.Linear`` with the same draws, but for what wakes it."""
    layer = build_attention(AttentionSpec.parse(spec), 64, block_channels=64).get_submodule(HIDDEN[spec][0])
    torch.manual_seed(4)
    layer.reset_parameters()
    torch.manual_seed(4)
    drawn = nn.Linear(64, layer.weight.shape[0], bias=layer.bias is not None)
    z = torch.rand(3, 64)
    given = layer(z[:, :, None, None])[:, :, 0, 0] if isinstance(layer, nn.Conv2d) else layer(z)
    expected = z @ drawn.weight.T + (4 * z.mean(1, keepdim=True) if layer.bias is None else 2)
    torch.testing.assert_close(given, expected)
