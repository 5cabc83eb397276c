"""Both attention gates against their equations, MONAI and their closed forms."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from nas_attn.errors import AttentionError
from nas_attn.models.attention import gate_shape
from nas_attn.models.attention.gate import AttentionGate
from nas_attn.models.build import build_unet
from nas_attn.models.network import UNetConfig
from nas_attn.models.placement import AttentionSpec, Location, Site
from nas_attn.training.evaluation import own_cost
from nas_attn.training.metrics import count_macs, count_parameters

SIZES = pytest.mark.parametrize(
    ("size", "gate_size"),
    [((6, 8), (3, 4)), ((7, 9), (3, 4)), ((4, 4), (4, 4)), ((5, 2), (2, 1)), ((8, 6), (1, 1))],
)
MODES = pytest.mark.parametrize("training", [False, True], ids=["evaluation", "training"])


@MODES
@SIZES
def test_common_gate_follows_the_equations_of_its_paper(size, gate_size, training, feature, spread, arrays):
    module = spread(AttentionGate(6, 5)).train(training)
    x, g = feature(2, 6, *size), feature(2, 5, *gate_size, seed=1)
    w = arrays(module)
    asked = _normalised(_conv(_resized(g.numpy(), size), w, "gate.from_gate.0"), w, "gate.from_gate.1", training)
    given = _normalised(_conv(x.numpy(), w, "gate.from_input.0"), w, "gate.from_input.1", training)
    psi = _conv(np.maximum(asked + given, 0), w, "gate.psi.0")
    expected = x.numpy() * _sigmoid(_normalised(psi, w, "gate.psi.1", training))
    np.testing.assert_allclose(module(x, g).detach().numpy(), expected, rtol=1e-10, atol=1e-12)


@MODES
@SIZES
def test_oktay_gate_follows_the_code_of_its_authors(size, gate_size, training, feature, spread, arrays):
    module = spread(AttentionGate(6, 5, variant="oktay")).train(training)
    x, g = feature(2, 6, *size), feature(2, 5, *gate_size, seed=1)
    w = arrays(module)
    halved = _halved(x.numpy(), w["gate.theta.weight"])
    asked = _resized(_conv(g.numpy(), w, "gate.phi"), halved.shape[2:])
    weights = _resized(_sigmoid(_conv(np.maximum(halved + asked, 0), w, "gate.psi")), size)
    projected = _conv(x.numpy() * weights, w, "gate.project.0")
    expected = _normalised(projected, w, "gate.project.1", training)
    np.testing.assert_allclose(module(x, g).detach().numpy(), expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("channels", [64, 256])
def test_common_gate_equals_monai(channels, feature, reference, assert_same_function):
    ours = AttentionGate(channels, 2 * channels)
    blocks = reference("monai.networks.nets.attentionunet")
    theirs = blocks.AttentionBlock(2, f_int=channels // 2, f_g=2 * channels, f_l=channels)
    parts = {"W_g": "from_gate", "W_x": "from_input", "psi": "psi"}
    layers = {f"block.{part}.0.conv": f"gate.{own}.0" for part, own in parts.items()}
    layers |= {f"block.{part}.1": f"gate.{own}.1" for part, own in parts.items()}
    inputs = feature(2, channels, 8, 6), feature(2, 2 * channels, 4, 3, seed=1)
    assert_same_function(ours, _Upsampling(theirs), layers, *inputs)


@pytest.mark.parametrize(("channels", "gate_channels"), [(64, 64), (64, 128), (256, 512), (17, 5), (1, 2)])
def test_common_gate_costs_its_closed_form(channels, gate_channels):
    module, hidden = AttentionGate(channels, gate_channels), max(1, channels // 2)
    assert count_parameters(module) == hidden * (gate_channels + channels) + 7 * hidden + 3
    macs = count_macs(module, (1, channels, 9, 12), (1, gate_channels, 4, 6))
    assert macs == 9 * 12 * hidden * (channels + 1) + 4 * 6 * hidden * gate_channels


def test_convolving_the_signal_first_halves_the_cost_of_the_gate_and_changes_nothing(feature, spread):
    module = AttentionGate(64, 128)
    assert count_macs(module, (1, 64, 64, 64), (1, 128, 32, 32)) == pytest.approx(12.7e6, rel=0.01)
    fine, before = (1, 64, 64, 64), 64 * 64 * 32 * (128 + 64 + 1)
    assert before == pytest.approx(25.3e6, rel=0.01)
    assert (
        count_macs(module, fine, (1, 128, 64, 64)) == before
    )  # as it was: the signal brought to the size of x first

    small, x, g = spread(AttentionGate(6, 5)), feature(2, 6, 7, 9), feature(2, 5, 3, 4, seed=1)
    for training in (False, True):
        leaves = [x.clone().requires_grad_(), g.clone().requires_grad_()]
        others = [leaf.detach().clone().requires_grad_() for leaf in leaves]
        weights = list(small.parameters())
        first = small.train(training)(*leaves)
        last = small(others[0], functional.interpolate(others[1], (7, 9), mode="bilinear"))
        cotangent = feature(2, 6, 7, 9, seed=2)
        torch.testing.assert_close(first, last, rtol=1e-12, atol=1e-12)
        torch.testing.assert_close(
            torch.autograd.grad(first, [*leaves, *weights], cotangent),
            torch.autograd.grad(last, [*others, *weights], cotangent),
            rtol=1e-9,
            atol=1e-10,
        )


@pytest.mark.parametrize("variant", ["common", "oktay"])
def test_corners_are_aligned_where_asked_for(variant, feature, spread):
    module = spread(AttentionGate(6, 5, variant=variant, align_corners=True)).eval()
    other = AttentionGate(6, 5, variant=variant).double().eval()
    other.load_state_dict(module.state_dict())
    x, g = feature(2, 6, 8, 12), feature(2, 5, 3, 4, seed=1)
    by_hand = module.gate.from_gate[0](g) if variant == "common" else module.gate.phi(g)
    size = (8, 12) if variant == "common" else (4, 6)
    resized = functional.interpolate(by_hand, size, mode="bilinear", align_corners=True)
    if variant == "common":
        asked = module.gate.from_gate[1](resized) + module.gate.from_input(x)
        expected = x * module.gate.psi(asked.relu()).sigmoid()
    else:
        weights = module.gate.psi((module.gate.theta(x) + resized).relu()).sigmoid()
        large = functional.interpolate(weights, (8, 12), mode="bilinear", align_corners=True)
        expected = module.gate.project(x * large)
    torch.testing.assert_close(module(x, g), expected)
    assert not torch.allclose(module(x, g), other(x, g))


@pytest.mark.parametrize("place", ["skip_1", "decoder_0"])
def test_the_gate_takes_the_up_convolved_feature_and_only_on_request_the_coarse_one(place):
    network = UNetConfig(2, 2, depth=2, base_channels=4)
    location = Location.parse(place.replace("_", "."))
    seen = {}
    for text in ("gate", "gate(signal=coarse)"):
        module = build_unet(network, network.plain.replace(location, AttentionSpec.parse(text)))
        module.attention[place].register_forward_pre_hook(
            lambda _, inputs, text=text: seen.__setitem__(text, tuple(inputs[1].shape))
        )
        ups = []
        module.up[location.level].register_forward_hook(lambda _, __, fine, ups=ups: ups.append(tuple(fine.shape)))
        module(torch.zeros(2, 2, 13, 18))
        channels, height, width = 4 * 2**location.level, 13 >> location.level, 18 >> location.level
        assert ups == [(2, channels, height, width)]
    assert seen["gate"] == (2, channels, height, width)
    assert seen["gate(signal=coarse)"] == (2, 2 * channels, height // 2, width // 2)


@pytest.mark.parametrize(("text", "shape"), [("gate", (8, 9, 12)), ("gate(signal=coarse)", (16, 4, 6))])
def test_costs_are_those_of_the_signal_that_is_asked_for(text, shape):
    site = Site(Location.parse("skip.0"), 8, 9, 12, gate_channels=16, up_channels=8)
    spec = AttentionSpec.parse(text)
    assert gate_shape(spec, site) == shape
    macs = 4 * (9 * 12 * (8 + 1) + shape[0] * shape[1] * shape[2])
    assert own_cost(spec, site, classes=2) == (count_parameters(AttentionGate(8, shape[0])), macs)


def test_where_a_network_has_no_up_convolution_the_signal_is_the_coarse_one():
    site = Site(Location.parse("skip.0"), 8, 9, 12, gate_channels=16)
    assert gate_shape(AttentionSpec("gate"), site) == (16, 4, 6)


@pytest.mark.parametrize("channels", [64, 256, 17])
def test_oktay_gate_costs_its_closed_form(channels):
    gate_channels, hidden = 2 * channels, channels // 2
    module = AttentionGate(channels, gate_channels, variant="oktay")
    inner = 4 * channels * hidden + gate_channels * hidden + hidden + hidden + 1
    assert count_parameters(module) == inner + channels**2 + 3 * channels
    macs = count_macs(module, (1, channels, 8, 12), (1, gate_channels, 4, 6))
    quarter = 24 * (4 * channels * hidden + gate_channels * hidden + hidden)
    assert macs == quarter + 96 * channels**2


def test_gates_have_the_sizes_of_the_published_table():
    assert count_parameters(AttentionGate(64, 64)) == 4323
    assert count_parameters(AttentionGate(256, 256)) == 66435
    assert count_parameters(AttentionGate(64, 128, variant="oktay")) == 16641
    assert count_parameters(AttentionGate(256, 512, variant="oktay")) == 263169


@MODES
def test_gate_opens_and_closes_where_the_gating_signal_says(training, feature):
    module = AttentionGate(4, 2).double().train(training)
    with torch.no_grad():
        for part in (module.gate.from_gate, module.gate.from_input, module.gate.psi):
            part[0].weight.zero_()
            part[0].bias.zero_()
        module.gate.from_gate[0].weight[:, 0] = 1.0
        module.gate.psi[0].weight.fill_(1.0)
        module.gate.psi[1].weight.fill_(50.0)
        module.gate.psi[1].bias.fill_(-25.0)
    x = feature(1, 4, 4, 4)
    left = torch.zeros(1, 2, 4, 4, dtype=torch.float64)
    left[:, 0, :, :2] = 1
    gated = module(x, left)
    torch.testing.assert_close(gated[..., :2], x[..., :2], rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(gated[..., 2:], torch.zeros(1, 4, 4, 2).double(), rtol=0, atol=1e-6)


def test_common_gate_explains_why_one_value_cannot_be_trained_on(feature):
    module = AttentionGate(4, 8).double()
    with pytest.raises(
        AttentionError, match=r"^gate cannot be trained on a single image with a 1x1 map: .*at least 2"
    ):
        module(feature(1, 4, 1, 1), feature(1, 8, 1, 1))


@pytest.mark.parametrize("size", [(1, 1), (1, 6), (6, 1)], ids=str)
def test_oktay_gate_explains_which_map_is_too_small(size, feature):
    module = AttentionGate(4, 8, variant="oktay").double()
    found = (
        rf"^gate\(variant=oktay\) halves its map and cannot stand on one of {size[0]}x{size[1]}; both .*common$"
    )
    with pytest.raises(AttentionError, match=found):
        module(feature(2, 4, *size), feature(2, 8, 1, 1))


def test_gate_names_every_argument_that_does_not_fit():
    with pytest.raises(AttentionError) as refused:
        AttentionGate(0, 0, variant="residual")
    assert refused.value.problems == (
        "gate: channels is 0; it must be a whole number of at least 1",
        "gate: gate_channels is 0; it must be a whole number of at least 1",
        "gate: variant is 'residual'; it must be common | oktay",
    )


class _Upsampling(nn.Module):
    """MONAI's gate wants its gating signal at the size of x."""

    def __init__(self, block):
        super().__init__()
        self.block = block

    def forward(self, x, gate):
        return self.block(g=functional.interpolate(gate, x.shape[2:], mode="bilinear"), x=x)


def _sigmoid(z):
    return 1 / (1 + np.exp(-z))


def _conv(x, w, name):
    return np.einsum("nchw,dc->ndhw", x, w[f"{name}.weight"][:, :, 0, 0]) + w[f"{name}.bias"][:, None, None]


def _normalised(z, w, name, training):
    mean = z.mean((0, 2, 3)) if training else w[f"{name}.running_mean"]
    variance = z.var((0, 2, 3)) if training else w[f"{name}.running_var"]
    scaled = (z - mean[:, None, None]) / np.sqrt(variance + 1e-5)[:, None, None]
    return scaled * w[f"{name}.weight"][:, None, None] + w[f"{name}.bias"][:, None, None]


def _halved(x, kernel):
    """A convolution of 2x2 with a stride of 2, one window after the other."""
    height, width = x.shape[2] // 2, x.shape[3] // 2
    halved = np.zeros((x.shape[0], kernel.shape[0], height, width))
    for i in range(height):
        for j in range(width):
            window = x[:, :, 2 * i : 2 * i + 2, 2 * j : 2 * j + 2]
            halved[:, :, i, j] = np.tensordot(window, kernel, ((1, 2, 3), (1, 2, 3)))
    return halved


def _resized(x, size):
    """Bilinear interpolation between the centres of pixels."""
    rows, columns = (_interpolation(old, new) for old, new in zip(x.shape[2:], size, strict=True))
    return np.einsum("ih,nchw,jw->ncij", rows, x, columns)


def _interpolation(old, new):
    matrix = np.zeros((new, old))
    for i in range(new):
        centre = min(max((i + 0.5) * old / new - 0.5, 0), old - 1)
        low = int(centre)
        matrix[i, low] += 1 - (centre - low)
        matrix[i, min(low + 1, old - 1)] += centre - low
    return matrix
