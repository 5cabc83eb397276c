"""Gather-excite against its equations, timm where it works, and its closed forms."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from nas_attn.errors import AttentionError
from nas_attn.models.attention.ge import GatherExcite
from nas_attn.training.metrics import count_macs, count_parameters


@pytest.mark.parametrize("extent", [2, 4, 8, "global"])
@pytest.mark.parametrize("size", [(9, 6), (3, 16), (1, 1)], ids=str)
def test_theta_minus_gathers_averages_of_windows(extent, size, feature):
    x = feature(2, 3, *size)
    expected = np.empty_like(x.numpy())
    for row in range(size[0]):
        for column in range(size[1]):
            window = [_window(row, size[0], extent), _window(column, size[1], extent)]
            average = x.numpy()[:, :, window[0], window[1]].mean((2, 3))
            expected[:, :, row, column] = x.numpy()[:, :, row, column] * _sigmoid(average)
    np.testing.assert_allclose(GatherExcite(3, extent=extent)(x).numpy(), expected, rtol=1e-11)


@pytest.mark.parametrize("training", [False, True], ids=["evaluation", "training"])
@pytest.mark.parametrize("parameters", ["conv", "mlp"])
@pytest.mark.parametrize(("extent", "size"), [(2, (5, 4)), (4, (7, 9)), (8, (9, 20)), (8, (1, 1))])
def test_theta_and_theta_plus_gather_by_strided_convolutions(
    extent, size, parameters, training, feature, spread, arrays
):
    module = spread(GatherExcite(5, extent=extent, parameters=parameters)).train(training)
    x = feature(2, 5, *size)
    w = arrays(module)
    gathered = x.numpy()
    steps = int(math.log2(extent))
    for step in range(steps):
        gathered = _normalised(
            _halved(gathered, w[f"gather.{3 * step}.weight"]), w, f"gather.{3 * step + 1}", training
        )
        if step < steps - 1:
            gathered = np.maximum(gathered, 0)
    if parameters == "mlp":
        hidden = np.einsum("nchw,dc->ndhw", gathered, w["perceptron.squeeze.weight"])
        hidden = np.maximum(hidden + w["perceptron.squeeze.bias"][:, None, None], 0)
        gathered = np.einsum("nchw,dc->ndhw", hidden, w["perceptron.excite.weight"])
        gathered = gathered + w["perceptron.excite.bias"][:, None, None]
    assert gathered.shape[2:] == (-(-size[0] // extent), -(-size[1] // extent))
    expected = x.numpy() * _sigmoid(_nearest(gathered, size))
    np.testing.assert_allclose(module(x).detach().numpy(), expected, rtol=1e-9)


@pytest.mark.parametrize("extent", [2, 4, 8, "global"])
def test_theta_minus_equals_timm(extent, feature, reference):
    theirs = reference("timm.layers").GatherExcite(8, use_mlp=False, extent=0 if extent == "global" else extent)
    ours, x = GatherExcite(8, extent=extent), feature(2, 8, 11, 16).requires_grad_()
    cotangent = feature(2, 8, 11, 16, seed=2)
    torch.testing.assert_close(ours(x), theirs(x))
    torch.testing.assert_close(
        torch.autograd.grad(ours(x), x, cotangent), torch.autograd.grad(theirs(x), x, cotangent)
    )


@pytest.mark.parametrize("parameters", ["conv", "mlp"])
def test_ge_trains_on_a_single_gathered_value_by_its_running_statistics(parameters, feature, spread):
    module, x = spread(GatherExcite(4, parameters=parameters)), feature(1, 4, 2, 2)
    torch.testing.assert_close(module.train()(x), module.eval()(x))


@pytest.mark.parametrize(("channels", "hidden"), [(64, 4), (256, 16), (17, 1)])
@pytest.mark.parametrize("extent", [2, 4, 8])
def test_ge_costs_its_closed_form(channels, hidden, extent):
    convolutions = 11 * channels * int(math.log2(extent))
    perceptron = 2 * channels * hidden + hidden + channels
    sizes = [math.ceil(9 / 2**step) * math.ceil(12 / 2**step) for step in range(1, int(math.log2(extent)) + 1)]
    expected = {
        "none": (0, 0),
        "conv": (convolutions, 9 * channels * sum(sizes)),
        "mlp": (convolutions + perceptron, 9 * channels * sum(sizes) + 2 * channels * hidden * sizes[-1]),
    }
    for parameters, cost in expected.items():
        module = GatherExcite(channels, extent=extent, parameters=parameters, min_hidden=1)
        assert (count_parameters(module), count_macs(module, (1, channels, 9, 12))) == cost


@pytest.mark.parametrize("parameters", ["conv", "mlp"])
def test_ge_has_no_convolution_over_the_whole_map(parameters):
    with pytest.raises(AttentionError, match=rf"^ge: extent=global needs parameters=none and not {parameters}: "):
        GatherExcite(8, extent="global", parameters=parameters)


def test_ge_refuses_an_extent_that_is_no_power_of_two():
    with pytest.raises(AttentionError, match=r"^ge: extent is 3; it must be 2 \| 4 \| 8 \| global$"):
        GatherExcite(8, extent=3)


def _sigmoid(z):
    return 1 / (1 + np.exp(-z))


def _window(position, length, extent):
    """What the cell nearest to a position averages over, along one dimension."""
    if extent == "global":
        return slice(None)
    centre = extent * (position * -(-length // extent) // length)
    return slice(max(0, centre - extent + 1), centre + extent)


def _halved(x, kernel):
    height, width = -(-x.shape[2] // 2), -(-x.shape[3] // 2)
    padded = np.pad(x, ((0, 0), (0, 0), (1, 2), (1, 2)))
    halved = np.zeros((*x.shape[:2], height, width))
    for i in range(3):
        for j in range(3):
            taps = padded[:, :, i : i + 2 * height : 2, j : j + 2 * width : 2][:, :, :height, :width]
            halved += taps * kernel[:, 0, i, j][:, None, None]
    return halved


def _normalised(x, w, name, training):
    name = f"{name}.norm"
    mean = x.mean((0, 2, 3)) if training else w[f"{name}.running_mean"]
    variance = x.var((0, 2, 3)) if training else w[f"{name}.running_var"]
    factor = w[f"{name}.weight"] / np.sqrt(variance + 1e-5)
    return (x - mean[:, None, None]) * factor[:, None, None] + w[f"{name}.bias"][:, None, None]


def _nearest(x, size):
    rows = np.arange(size[0]) * x.shape[2] // size[0]
    columns = np.arange(size[1]) * x.shape[3] // size[1]
    return x[:, :, rows][:, :, :, columns]
