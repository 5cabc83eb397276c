"""The identity start: exact at step 0, and the module of the paper at alpha = 1."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from nas_attn.models.attention import IdentityStart
from nas_attn.models.attention._start import PACE, BlockStart, ConvolutionStart
from nas_attn.models.attention.gate import AttentionGate
from nas_attn.models.attention.se import SqueezeExcite


@pytest.mark.parametrize("alpha", [0.0, 0.25, 1.0, -0.5])
def test_identity_start_follows_its_equation(alpha, feature, spread):
    attention = spread(SqueezeExcite(6, reduction=2))
    module, x = IdentityStart(attention).double(), feature(2, 6, 5, 4)
    with torch.no_grad():
        module.paced_alpha.fill_(alpha / PACE)
    torch.testing.assert_close(module(x), x + alpha * (attention(x) - x))
    torch.testing.assert_close(module.alpha.item(), alpha)


def test_identity_start_hands_the_gating_signal_on(feature, spread):
    attention = spread(AttentionGate(6, 4)).eval()
    module = IdentityStart(attention).eval().double()
    with torch.no_grad():
        module.paced_alpha.fill_(1 / PACE)
    x, gate = feature(2, 6, 4, 4), feature(2, 4, 2, 2, seed=1)
    torch.testing.assert_close(module(x, gate), attention(x, gate))


def test_identity_start_costs_one_parameter():
    assert sum(p.numel() for p in IdentityStart(nn.Identity()).parameters()) == 1


def test_alpha_moves_ten_times_as_fast_as_other_weights_under_adam(feature):
    module = IdentityStart(SqueezeExcite(6)).double()
    module(feature(2, 6, 5, 4)).square().sum().backward()
    torch.optim.Adam(module.parameters(), lr=0.001).step()
    assert abs(module.alpha.item()) == pytest.approx(0.01, rel=1e-3)


def test_alpha_learns_first_and_the_module_after_it(feature):
    module, x = IdentityStart(SqueezeExcite(6, reduction=1)).double(), feature(4, 6, 5, 4)
    optimiser = torch.optim.SGD(module.parameters(), lr=1e-5)
    for learning in (False, True):
        optimiser.zero_grad()
        module(x).square().sum().backward()
        assert (module.module.perceptron.excite.weight.grad.abs().max() > 0) == learning
        optimiser.step()


def test_identity_start_stays_in_the_precision_of_its_input():
    module = IdentityStart(SqueezeExcite(4))
    x = torch.randn(2, 4, 3, 3, dtype=torch.bfloat16)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(module(x), x)
        assert module(x).dtype == torch.bfloat16


@pytest.mark.parametrize("alpha", [0.0, 0.25, 1.0])
def test_convolution_start_fades_from_the_plain_convolution(alpha, feature):
    instead, plain = torch.nn.Conv2d(3, 3, 1).double(), torch.nn.Conv2d(3, 3, 3, padding=1).double()
    module, x = ConvolutionStart(instead).double(), feature(2, 3, 5, 4)
    with torch.no_grad():
        module.paced_alpha.fill_(alpha / PACE)
    torch.testing.assert_close(module(x, plain), (1 - alpha) * plain(x) + alpha * instead(x))


@pytest.mark.parametrize("alpha", [0.0, 0.25, 1.0])
def test_block_start_fades_from_the_block_even_where_the_module_warps_its_input(alpha, feature):
    class Warping(nn.Module):
        def forward(self, x, block):
            return block(x.flip(2)).flip(2)

    module, x = BlockStart(Warping()).double(), feature(2, 3, 5, 4)
    block = torch.nn.Conv2d(3, 2, 3, padding=1).double()
    with torch.no_grad():
        module.paced_alpha.fill_(alpha / PACE)
    expected = (1 - alpha) * block(x) + alpha * block(x.flip(2)).flip(2)
    torch.testing.assert_close(module(x, block), expected)
