"""Self-calibrated convolution against its equations, its narrow cases, and its closed forms."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from nas_attn.errors import AttentionError
from nas_attn.models.attention.scconv import SelfCalibratedConvolution
from nas_attn.training.metrics import count_macs, count_parameters


@pytest.mark.parametrize("training", [False, True], ids=["evaluation", "training"])
@pytest.mark.parametrize(("channels", "pooling", "size"), [(6, 4, (9, 8)), (5, 2, (4, 7)), (2, 4, (3, 5))])
def test_self_calibrated_convolution_follows_the_equations_of_its_paper(
    channels, pooling, size, training, feature, spread, arrays, convolved
):
    module = spread(SelfCalibratedConvolution(channels, pooling)).train(training)
    x, w = feature(3, channels, *size), arrays(module)
    one, two = x.numpy()[:, : channels // 2], x.numpy()[:, channels // 2 :]
    high, wide = (min(pooling, side) for side in size)
    pooled = np.zeros((3, channels // 2, size[0] // high, size[1] // wide))
    for i in range(pooled.shape[2]):
        for j in range(pooled.shape[3]):
            pooled[:, :, i, j] = one[:, :, i * high : (i + 1) * high, j * wide : (j + 1) * wide].mean((2, 3))
    coarse = _normalised(convolved(pooled, w["k2.0.weight"]), w, "k2.1.norm", training)
    rows = np.arange(size[0]) * coarse.shape[2] // size[0]
    columns = np.arange(size[1]) * coarse.shape[3] // size[1]
    weights = 1 / (1 + np.exp(-(one + coarse[:, :, rows][:, :, :, columns])))
    calibrated = _normalised(convolved(one, w["k3.0.weight"]), w, "k3.1", training) * weights
    expected = np.concatenate([convolved(calibrated, w["k4.weight"]), convolved(two, w["k1.weight"])], 1)
    np.testing.assert_allclose(module(x).detach(), expected, rtol=1e-8, atol=1e-9)


def test_halves_do_not_see_one_another(feature, spread):
    module, x = spread(SelfCalibratedConvolution(4)).eval(), feature(1, 4, 8, 8)
    changed = x.clone()
    changed[:, 2:] += 1
    difference = (module(changed) - module(x)).abs().amax((0, 2, 3))
    assert (difference > 0).tolist() == [False, False, True, True]


def test_an_open_gate_leaves_two_convolutions_and_a_third(feature, spread):
    """Where the sigmoid is 1, the calibrated half is convolved twice."""
    module, x = spread(SelfCalibratedConvolution(4)).eval(), feature(1, 4, 8, 8)
    with torch.no_grad():
        module.k2[1].norm.bias.fill_(1e4)
        expected = torch.cat([module.k4(module.k3(x[:, :2])), module.k1(x[:, 2:])], 1)
        torch.testing.assert_close(module(x), expected)


@pytest.mark.parametrize("size", [(16, 12), (17, 13), (2, 3)])
@pytest.mark.parametrize("channels", [64, 256, 17, 1])
def test_self_calibrated_convolution_costs_its_closed_form(channels, size):
    """As many weights as the convolution that it replaces, for an even number of channels."""
    module, one = SelfCalibratedConvolution(channels), max(1, channels // 2)
    other = channels - one
    assert count_parameters(module) == 27 * one**2 + 9 * other**2 + 4 * one
    pooled = (size[0] // min(4, size[0])) * (size[1] // min(4, size[1]))
    macs = 9 * (size[0] * size[1] * (2 * one**2 + other**2) + pooled * one**2)
    assert count_macs(module, (1, channels, *size)) == macs


def test_its_kernels_have_as_many_weights_as_the_one_they_replace():
    kernels = [weight for weight in SelfCalibratedConvolution(64).parameters() if weight.ndim == 4]
    assert sum(weight.numel() for weight in kernels) == count_parameters(nn.Conv2d(64, 64, 3, bias=False))


def test_a_single_image_of_one_position_cannot_be_trained_on(feature):
    module = SelfCalibratedConvolution(4).double()
    with pytest.raises(AttentionError, match=r"^scconv cannot be trained on a single image with a 1x1 map"):
        module(feature(1, 4, 1, 1))
    assert module.eval()(feature(1, 4, 1, 1)).isfinite().all()


def _normalised(x, w, name, training):
    mean = x.mean((0, 2, 3)) if training else w[f"{name}.running_mean"]
    variance = x.var((0, 2, 3)) if training else w[f"{name}.running_var"]
    scale = w[f"{name}.weight"] / np.sqrt(variance + 1e-5)
    return (x - mean[:, None, None]) * scale[:, None, None] + w[f"{name}.bias"][:, None, None]
