"""Style-based recalibration against its equations, a second formula and its closed forms."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from nas_attn.errors import AttentionError
from nas_attn.models.attention.srm import StyleRecalibration
from nas_attn.training import initialise
from nas_attn.training.metrics import count_macs, count_parameters


@pytest.mark.parametrize("training", [False, True], ids=["evaluation", "training"])
@pytest.mark.parametrize("unbiased", [False, True], ids=["paper", "code"])
@pytest.mark.parametrize(("channels", "size"), [(6, (5, 4)), (1, (3, 7))])
def test_srm_follows_the_equations_of_its_paper(channels, size, unbiased, training, feature, spread, arrays):
    module = spread(StyleRecalibration(channels, unbiased=unbiased)).train(training)
    x = feature(3, channels, *size)
    w = arrays(module)
    expected = np.empty_like(x.numpy())
    for channel in range(channels):
        planes = x.numpy()[:, channel].reshape(3, -1)
        squares = ((planes - planes.mean(1, keepdims=True)) ** 2).sum(1)
        deviation = np.sqrt(squares / (planes.shape[1] - (1 if unbiased else 0)))
        z = w["style"][channel, 0] * planes.mean(1) + w["style"][channel, 1] * deviation
        mean = z.mean() if training else w["norm.norm.running_mean"][channel]
        variance = z.var() if training else w["norm.norm.running_var"][channel]
        z = (z - mean) / np.sqrt(variance + 1e-5)
        z = z * w["norm.norm.weight"][channel] + w["norm.norm.bias"][channel]
        expected[:, channel] = x.numpy()[:, channel] / (1 + np.exp(-z))[:, None, None]
    np.testing.assert_allclose(module(x).detach().numpy(), expected, rtol=1e-10)


class GroupedConvolution(nn.Module):
    """The same as a grouped convolution over the pair of mean and deviation."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv1d(channels, channels, 2, groups=channels, bias=False)
        self.bn = nn.BatchNorm1d(channels)

    def forward(self, x):
        flat = x.flatten(2)
        weights = self.bn(self.conv(torch.stack((flat.mean(2), flat.std(2)), 2))).sigmoid()
        return x * weights[..., None]


def test_srm_equals_a_grouped_convolution_over_mean_and_deviation(feature, spread):
    ours, theirs = spread(StyleRecalibration(16, unbiased=True)), GroupedConvolution(16).double()
    theirs.conv.weight.data = ours.style.data[:, None]
    theirs.bn.load_state_dict(ours.norm.norm.state_dict())
    x = feature(3, 16, 6, 5).requires_grad_()
    cotangent = feature(3, 16, 6, 5, seed=2)
    for training in (False, True):
        ours.train(training)
        theirs.train(training)
        torch.testing.assert_close(ours(x), theirs(x))
        torch.testing.assert_close(
            torch.autograd.grad(ours(x), x, cotangent), torch.autograd.grad(theirs(x), x, cotangent)
        )


@pytest.mark.parametrize("seed", [0, 1])
def test_srm_starts_by_halving_its_input_and_can_learn(seed, feature):
    module, x = StyleRecalibration(5).double(), feature(3, 5, 4, 6)
    initialise(module, seed)
    output = module(x)
    torch.testing.assert_close(output, x / 2)
    output.square().sum().backward()
    assert (module.style.grad.abs() > 0).all()


@pytest.mark.parametrize("unbiased", [False, True])
def test_srm_gives_a_map_of_one_position_no_deviation(unbiased, feature, spread, arrays):
    module = spread(StyleRecalibration(4, unbiased=unbiased)).eval()
    x = feature(2, 4, 1, 1).requires_grad_()
    with torch.no_grad():
        expected = module(x.expand(2, 4, 3, 3))[:, :, :1, :1]  # constant planes have none either
    torch.testing.assert_close(module(x), expected)
    module.train()(x).sum().backward()
    assert x.grad.isfinite().all()


def test_srm_trains_on_a_single_image_by_its_running_statistics(feature, spread):
    module, x = spread(StyleRecalibration(4)), feature(1, 4, 5, 5)
    torch.testing.assert_close(module.train()(x), module.eval()(x))


@pytest.mark.parametrize("channels", [1, 64, 256])
def test_srm_costs_its_closed_form(channels):
    module = StyleRecalibration(channels)
    assert count_parameters(module) == 4 * channels
    assert count_macs(module, (1, channels, 9, 12)) == 0


def test_srm_refuses_what_is_no_truth_value():
    with pytest.raises(AttentionError, match=r"^srm: unbiased is 1; it must be true \| false$"):
        StyleRecalibration(8, unbiased=1)
