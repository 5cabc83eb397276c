"""Strip pooling against its equations, a second formula and its closed forms."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional

from nas_attn.errors import AttentionError
from nas_attn.models.attention.strip import StripPooling
from nas_attn.training.metrics import count_macs, count_parameters


@pytest.mark.parametrize("training", [False, True], ids=["evaluation", "training"])
@pytest.mark.parametrize(("channels", "size"), [(4, (5, 8)), (1, (7, 3)), (3, (1, 1)), (3, (1, 6))])
def test_strip_follows_the_equations_of_its_paper(channels, size, training, feature, spread, arrays):
    module = spread(StripPooling(channels)).train(training)
    x = feature(2, channels, *size).numpy()
    w = arrays(module)
    rows = _line(x.mean(3), w, "rows", training)
    columns = _line(x.mean(2), w, "columns", training)
    both = np.maximum(rows[:, :, :, None] + columns[:, :, None, :], 0)
    logits = np.einsum("nchw,dc->ndhw", both, w["mix.weight"][:, :, 0, 0]) + w["mix.bias"][:, None, None]
    found = module(torch.from_numpy(x)).detach().numpy()
    np.testing.assert_allclose(found, x / (1 + np.exp(-logits)), rtol=1e-9)


def test_strip_and_its_gradients_equal_those_of_convolutions_along_one_dimension(feature, spread):
    module = spread(StripPooling(6)).eval()
    x = feature(2, 6, 7, 5).requires_grad_()
    strips = []
    for branch, pooled in ((module.rows, x.mean(3)), (module.columns, x.mean(2))):
        conv, norm = branch[0], branch[1].norm
        line = functional.conv1d(pooled, conv.weight.flatten(2), padding=1)
        scale = norm.weight / (norm.running_var + norm.eps).sqrt()
        strips.append((line - norm.running_mean[:, None]) * scale[:, None] + norm.bias[:, None])
    both = (strips[0][..., None] + strips[1][:, :, None]).relu()
    expected = x * torch.sigmoid(module.mix(both))
    leaves, cotangent = [x, *module.parameters()], feature(2, 6, 7, 5, seed=2)
    torch.testing.assert_close(module(x), expected)
    torch.testing.assert_close(
        torch.autograd.grad(module(x), leaves, cotangent), torch.autograd.grad(expected, leaves, cotangent)
    )


def test_strip_lets_a_position_see_its_neighbouring_rows_and_columns_and_nothing_else(spread):
    module = spread(StripPooling(2)).eval()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.abs_()
        for branch in (module.rows, module.columns):
            branch[1].norm.running_mean.zero_()
    x = torch.ones(1, 2, 9, 8, dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(module(x)[0, 0, 4, 3], x)
    expected = torch.zeros(9, 8, dtype=torch.bool)
    expected[3:6] = expected[:, 2:5] = True
    assert torch.equal(gradient[0, 1] != 0, expected)


@pytest.mark.parametrize("size", [(1, 6), (6, 1), (1, 1)], ids=str)
def test_strip_trains_on_a_strip_of_one_value_by_its_running_statistics(size, feature, spread):
    assert spread(StripPooling(3)).train()(feature(1, 3, *size)).isfinite().all()


@pytest.mark.parametrize("channels", [1, 64, 256])
def test_strip_costs_its_closed_form(channels):
    module = StripPooling(channels)
    assert count_parameters(module) == 7 * channels**2 + 5 * channels  # the strips have no bias
    assert count_macs(module, (1, channels, 9, 12)) == 3 * channels**2 * (9 + 12) + channels**2 * 9 * 12


def test_strip_has_no_options():
    with pytest.raises(AttentionError, match=r"^strip: channels is 0; it must be a whole number of at least 1$"):
        StripPooling(0)
    with pytest.raises(TypeError, match="reduction"):
        StripPooling(8, reduction=2)


def _line(x, w, branch, training):
    """A convolution over 3 neighbours along a strip, (N, C, L), normalised over images and positions."""
    kernel = w[f"{branch}.0.weight"].reshape(x.shape[1], x.shape[1], 3)
    padded = np.pad(x, ((0, 0), (0, 0), (1, 1)))
    length = x.shape[2]
    line = sum(np.einsum("ncl,dc->ndl", padded[:, :, i : i + length], kernel[:, :, i]) for i in range(3))
    norm = f"{branch}.1.norm"
    mean = line.mean((0, 2)) if training else w[f"{norm}.running_mean"]
    variance = line.var((0, 2)) if training else w[f"{norm}.running_var"]
    factor = w[f"{norm}.weight"] / np.sqrt(variance + 1e-5)
    return (line - mean[:, None]) * factor[:, None] + w[f"{norm}.bias"][:, None]
