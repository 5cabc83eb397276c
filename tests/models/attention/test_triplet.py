"""Triplet attention against its equations, three gates of timm, and its closed forms."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from nas_attn.errors import AttentionError
from nas_attn.models.attention.triplet import TripletAttention
from nas_attn.training.metrics import count_macs, count_parameters


@pytest.mark.parametrize("training", [False, True], ids=["evaluation", "training"])
@pytest.mark.parametrize(("channels", "size", "kernel_size"), [(6, (5, 8), 7), (5, (3, 2), 3), (1, (4, 4), 7)])
def test_triplet_follows_the_equations_of_its_paper(
    channels, size, kernel_size, training, feature, spread, arrays
):
    module = spread(TripletAttention(channels, kernel_size=kernel_size)).train(training)
    x = feature(2, channels, *size).numpy()
    w = arrays(module)
    total = np.zeros_like(x)
    for gate, axes in {
        "over_height": (0, 2, 1, 3),
        "over_width": (0, 3, 2, 1),
        "over_channels": (0, 1, 2, 3),
    }.items():
        seen = x.transpose(axes)
        total += (seen * _gate(seen, w, gate, training)).transpose(axes)
    found = module(torch.from_numpy(x)).detach().numpy()
    np.testing.assert_allclose(found, total / 3, rtol=1e-10, atol=1e-12)


class ThreeGates(nn.Module):
    """The same from a gate of another library, which sees means before maxima."""

    def __init__(self, gate, kernel_size: int) -> None:
        super().__init__()
        self.first, self.second, self.third = (gate(kernel_size) for _ in range(3))

    def forward(self, x):
        first = self.first(x.transpose(1, 2)).transpose(1, 2)
        second = self.second(x.transpose(1, 3)).transpose(1, 3)
        return (first + second + self.third(x)) / 3


def test_triplet_equals_three_gates_of_timm(feature, reference, assert_same_function):
    theirs = ThreeGates(reference("timm.layers.cbam").SpatialAttn, 7)
    gates = {"first": "over_height", "second": "over_width", "third": "over_channels"}
    layers = {f"{name}.conv.conv": f"{ours}.conv" for name, ours in gates.items()}
    layers |= {f"{name}.conv.bn": f"{ours}.norm" for name, ours in gates.items()}

    def mean_before_max(theirs):
        for name in gates:
            conv = theirs.get_submodule(name).conv.conv
            conv.weight.data = conv.weight.data.flip(1)

    assert_same_function(TripletAttention(12), theirs, layers, feature(2, 12, 9, 8), adapt=mean_before_max)


def test_triplet_of_a_transposed_map_is_transposed_once_its_gates_trade_places(feature, spread):
    module, other = spread(TripletAttention(6)).eval(), TripletAttention(6).double().eval()
    other.over_height.load_state_dict(module.over_width.state_dict())
    other.over_width.load_state_dict(module.over_height.state_dict())
    other.over_channels.load_state_dict(module.over_channels.state_dict())
    with torch.no_grad():
        # Height comes first for one of the two branches and last for the other.
        for gate in (other.over_height, other.over_width, other.over_channels):
            gate.conv.weight.copy_(gate.conv.weight.transpose(2, 3).clone())
    x = feature(2, 6, 5, 9)
    torch.testing.assert_close(other(x.transpose(2, 3)), module(x).transpose(2, 3))


@pytest.mark.parametrize("kernel_size", [3, 7])
def test_triplet_costs_its_closed_form(kernel_size):
    module, window = TripletAttention(64, kernel_size=kernel_size), 2 * kernel_size**2
    assert count_parameters(module) == 3 * (window + 2)
    assert count_macs(module, (1, 64, 9, 12)) == window * (9 * 12 + 64 * 12 + 64 * 9)


@pytest.mark.parametrize(("channels", "size"), [(4, (1, 1)), (1, (1, 5)), (1, (5, 1))])
def test_triplet_explains_why_one_value_cannot_be_trained_on(channels, size, feature):
    with pytest.raises(AttentionError, match=r"^triplet cannot be trained on a single image with a 1x1 map: "):
        TripletAttention(channels).double()(feature(1, channels, *size))


def test_triplet_refuses_an_even_kernel():
    with pytest.raises(AttentionError, match=r"^triplet: kernel_size is 4; it must be 3 \| 7$"):
        TripletAttention(8, kernel_size=4)


def _gate(x, w, name, training):
    kernel = w[f"{name}.conv.weight"][0]
    reach = kernel.shape[-1] // 2
    pooled = np.stack((x.max(1), x.mean(1)), 1)
    padded = np.pad(pooled, ((0, 0), (0, 0), (reach, reach), (reach, reach)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, kernel.shape[1:], (2, 3))
    logits = np.einsum("nchwij,cij->nhw", windows, kernel)
    mean = logits.mean() if training else w[f"{name}.norm.running_mean"]
    variance = logits.var() if training else w[f"{name}.norm.running_var"]
    logits = (logits - mean) / np.sqrt(variance + 1e-5) * w[f"{name}.norm.weight"] + w[f"{name}.norm.bias"]
    return 1 / (1 + np.exp(-logits))[:, None]
