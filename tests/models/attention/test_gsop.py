"""Global second-order pooling against its equations, a second formula and its closed forms."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from nas_attn.errors import AttentionError
from nas_attn.models.attention.gsop import GlobalSecondOrderPooling
from nas_attn.training.metrics import count_macs, count_parameters


@pytest.mark.parametrize("training", [False, True], ids=["evaluation", "training"])
@pytest.mark.parametrize(
    ("channels", "hidden", "stride", "size"),
    [(6, 4, 1, (5, 4)), (1, 2, 2, (3, 7)), (5, 2, 1, (1, 1)), (4, 9, 1, (3, 2))],
)
def test_gsop_follows_the_equations_of_its_paper(
    channels, hidden, stride, size, training, feature, spread, arrays
):
    module = spread(GlobalSecondOrderPooling(channels, hidden=hidden, stride=stride)).train(training)
    x = feature(2, channels, *size).numpy()
    w, hidden = arrays(module), min(hidden, max(2, channels))
    reduced = np.einsum(
        "nchw,dc->ndhw", np.maximum(x, 0)[:, :, ::stride, ::stride], w["reduce.weight"][:, :, 0, 0]
    )
    reduced = _normalised(reduced + w["reduce.bias"][:, None, None], w, "reduce_norm", training)
    z = np.maximum(reduced, 0).reshape(2, hidden, -1)
    covariance = np.zeros((2, hidden, hidden, 1))
    for image in range(2):
        mean = z[image].mean(1)
        for position in range(z.shape[2]):
            offset = z[image, :, position] - mean
            covariance[image, :, :, 0] += np.outer(offset, offset) / z.shape[2]
    rows = _normalised(covariance, w, "row_norm", training)[..., 0]
    answers = np.empty((2, 4 * hidden))
    for answer in range(4 * hidden):
        kernel = w["rows.weight"][answer, 0, :, 0]
        answers[:, answer] = rows[:, answer // 4] @ kernel + w["rows.bias"][answer]
    logits = answers @ w["excite.weight"][:, :, 0, 0].T + w["excite.bias"]
    expected = x / (1 + np.exp(-logits))[:, :, None, None]
    np.testing.assert_allclose(module(torch.from_numpy(x)).detach().numpy(), expected, rtol=1e-9)


def test_gsop_and_its_gradients_equal_those_of_torch_cov(feature, spread):
    module = spread(GlobalSecondOrderPooling(8, hidden=6)).eval()
    x = feature(2, 8, 5, 7).requires_grad_()
    z = module.reduce_norm(module.reduce(x.relu())).relu()
    covariance = torch.stack([torch.cov(image.flatten(1), correction=0) for image in z])
    rows = module.row_norm(covariance[..., None])[..., 0]
    kernel = module.rows.weight.view(6, 4, 6)
    answers = torch.einsum("ndk,dak->nda", rows, kernel).flatten(1) + module.rows.bias
    weights = torch.sigmoid(answers @ module.excite.weight[:, :, 0, 0].T + module.excite.bias)
    expected = x * weights[:, :, None, None]
    leaves, cotangent = [x, *module.parameters()], feature(2, 8, 5, 7, seed=2)
    torch.testing.assert_close(module(x), expected)
    torch.testing.assert_close(
        torch.autograd.grad(module(x), leaves, cotangent), torch.autograd.grad(expected, leaves, cotangent)
    )


def test_gsop_does_not_care_where_in_the_map_a_value_stands(feature, spread):
    module, x = spread(GlobalSecondOrderPooling(4, hidden=5)).eval(), feature(2, 4, 3, 4)
    order = torch.randperm(12, generator=torch.Generator().manual_seed(0))
    moved = module(x.flatten(2)[:, :, order].view(2, 4, 3, 4)).flatten(2)
    torch.testing.assert_close(moved, module(x).flatten(2)[:, :, order])


@pytest.mark.parametrize(("channels", "parameters"), [(64, 37504), (256, 230784), (17, 2771)])
def test_gsop_costs_its_closed_form(channels, parameters):
    module, d = GlobalSecondOrderPooling(channels), min(128, channels)
    by_paper = channels * d + d + 4 * d + 4 * d**2 + 4 * d + 4 * d * channels + channels
    assert count_parameters(module) == by_paper == parameters
    for stride, positions in ((1, 9 * 13), (2, 5 * 7)):
        module = GlobalSecondOrderPooling(channels, stride=stride)
        macs = channels * d * positions + d**2 * positions + 4 * d**2 + 4 * d * channels
        assert count_macs(module, (1, channels, 9, 13)) == macs


def test_gsop_explains_why_one_value_cannot_be_trained_on(feature):
    with pytest.raises(AttentionError, match=r"^gsop cannot be trained on a single image with a 1x1 map: "):
        GlobalSecondOrderPooling(4, hidden=3).double()(feature(1, 4, 1, 1))


def test_gsop_refuses_what_it_cannot_use():
    with pytest.raises(AttentionError) as refused:
        GlobalSecondOrderPooling(8, hidden=1, stride=3)
    assert refused.value.problems == (
        "gsop: hidden is 1; it must be a whole number of at least 2",
        "gsop: stride is 3; it must be 1 | 2",
    )


def _normalised(x, w, name, training):
    mean = x.mean((0, 2, 3)) if training else w[f"{name}.running_mean"]
    variance = x.var((0, 2, 3)) if training else w[f"{name}.running_var"]
    factor = w[f"{name}.weight"] / np.sqrt(variance + 1e-5)
    return (x - mean[:, None, None]) * factor[:, None, None] + w[f"{name}.bias"][:, None, None]
