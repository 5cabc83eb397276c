"""Point-wise spatial attention against its equations, a slow loop and its closed forms."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from nas_attn.errors import AttentionError
from nas_attn.models.attention.psa import PointwiseSpatialAttention
from nas_attn.training.metrics import count_macs, count_parameters

MODES = pytest.mark.parametrize("mode", ["collect", "distribute", "both"])
NORMALISERS = pytest.mark.parametrize("normalise", ["count", "softmax"])
PHASES = pytest.mark.parametrize("training", [False, True], ids=["evaluation", "training"])


@PHASES
@NORMALISERS
@MODES
@pytest.mark.parametrize("size", [(8, 8), (5, 3), (1, 12)], ids=str)
def test_psa_follows_the_equations_of_its_paper(size, mode, normalise, training, feature, spread, arrays):
    module = spread(PointwiseSpatialAttention(6, mode=mode, reduction=2, grid=8, normalise=normalise))
    module.train(training)
    x, w = feature(2, 6, *size), arrays(module)
    passed_on = []
    for name in ("collect", "distribute") if mode == "both" else (mode,):
        own = f"branches.{name}"
        reduced = _normalised(_conv(x.numpy(), w, f"{own}.reduce.0"), w, f"{own}.reduce.1", training)
        features = _resized(np.maximum(reduced, 0), (8, 8))
        hidden = _normalised(_conv(features, w, f"{own}.weigh.0"), w, f"{own}.weigh.1", training)
        mask = _conv(np.maximum(hidden, 0), w, f"{own}.weigh.3").reshape(2, 64, 64)
        heard = np.zeros((2, 3, 64))
        for image in range(2):
            for i in range(64):
                said = [mask[image, j, i] if name == "collect" else mask[image, i, j] for j in range(64)]
                weights = np.exp(said) / np.exp(said).sum() if normalise == "softmax" else np.array(said) / 64
                heard[image, :, i] = features[image].reshape(3, 64) @ weights
        passed_on.append(heard.reshape(2, 3, 8, 8))
    projected = _normalised(_conv(np.concatenate(passed_on, 1), w, "project"), w, "norm", training)
    expected = x.numpy() + _resized(np.maximum(projected, 0), size)
    np.testing.assert_allclose(module(x).detach().numpy(), expected, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("mode", ["collect", "distribute"])
def test_weights_set_by_hand_bring_one_position_to_all_or_all_to_one(mode):
    module = PointwiseSpatialAttention(1, mode=mode, reduction=1, grid=8).double().eval()
    branch, spot = module.branches[mode], 27
    with torch.no_grad():
        for conv in (branch.reduce[0], branch.weigh[0], module.project):
            conv.weight.fill_(1.0)
        branch.weigh[3].weight.zero_()
        branch.weigh[3].weight[spot] = 64.0
    x = torch.zeros(1, 1, 8, 8, dtype=torch.float64)
    x.view(-1)[5], x.view(-1)[spot] = 2.0, 3.0
    added = (module(x) - x).flatten()
    # collect: position i hears the spot, x_i * x_spot; distribute: the spot hears i, sum_i x_i * x_i
    expected = x.flatten() * 3.0 if mode == "collect" else torch.zeros(64).double()
    if mode == "distribute":
        expected[spot] = 2.0**2 + 3.0**2
    torch.testing.assert_close(added, expected, rtol=1e-4, atol=1e-4)  # BN divides by sqrt(1 + 1e-5)


@NORMALISERS
@MODES
def test_psa_gradients_agree_with_finite_differences(mode, normalise, feature, spread):
    module = spread(PointwiseSpatialAttention(2, mode=mode, reduction=1, grid=8, normalise=normalise)).eval()
    x = feature(1, 2, 3, 2, seed=4).requires_grad_()
    assert torch.autograd.gradcheck(module, (x,), eps=1e-7, atol=1e-5)


@pytest.mark.parametrize(("channels", "hidden"), [(64, 16), (256, 64), (17, 4), (1, 1)])
@pytest.mark.parametrize(("mode", "branches"), [("both", 2), ("collect", 1), ("distribute", 1)])
@pytest.mark.parametrize("grid", [8, 16])
def test_psa_costs_its_closed_form(channels, hidden, mode, branches, grid):
    module, positions, cells = PointwiseSpatialAttention(channels, mode=mode, grid=grid), 9 * 12, grid**2
    of_branch = channels * hidden + hidden**2 + 4 * hidden + hidden * cells
    assert count_parameters(module) == branches * (of_branch + hidden * channels) + 2 * channels
    macs = positions * channels * hidden + cells * (hidden**2 + 2 * hidden * cells + hidden * channels)
    assert count_macs(module, (1, channels, 9, 12)) == branches * macs


def test_psa_has_the_sizes_of_the_published_table():
    assert [count_parameters(PointwiseSpatialAttention(channels)) for channels in (64, 256)] == [13056, 107520]
    assert round(count_macs(PointwiseSpatialAttention(64), (1, 64, 64, 64)) / 1e6, 1) == 13.2


def test_psa_explains_why_one_value_cannot_be_trained_on(feature):
    found = r"^psa cannot be trained on a single image with a 1x1 map: .*at least 2"
    with pytest.raises(AttentionError, match=found):
        PointwiseSpatialAttention(4).double()(feature(1, 4, 1, 1))


def test_psa_refuses_what_it_cannot_use():
    with pytest.raises(AttentionError) as refused:
        PointwiseSpatialAttention(4, mode="send", reduction=0, grid=7, normalise="sum")
    assert refused.value.problems == (
        "psa: mode is 'send'; it must be collect | distribute | both",
        "psa: reduction is 0; it must be a whole number of at least 1",
        "psa: grid is 7; it must be 8 | 16 | 32",
        "psa: normalise is 'sum'; it must be count | softmax",
    )


def _conv(x, w, name):
    return np.einsum("nchw,dc->ndhw", x, w[f"{name}.weight"][:, :, 0, 0])


def _normalised(x, w, name, training):
    mean = x.mean((0, 2, 3)) if training else w[f"{name}.running_mean"]
    variance = x.var((0, 2, 3)) if training else w[f"{name}.running_var"]
    scale = w[f"{name}.weight"] / np.sqrt(variance + 1e-5)
    return (x - mean[:, None, None]) * scale[:, None, None] + w[f"{name}.bias"][:, None, None]


def _resized(x, size):
    """Bilinear interpolation that puts corners on corners, one axis after the other."""
    rows, columns = (_interpolation(old, new) for old, new in zip(x.shape[2:], size, strict=True))
    return np.einsum("ij,ncjl,kl->ncik", rows, x, columns)


def _interpolation(old, new):
    matrix = np.zeros((new, old))
    for i, place in enumerate(np.linspace(0, old - 1, new) if new > 1 else [0.0]):
        left = min(int(place), old - 1)
        right = min(left + 1, old - 1)
        matrix[i, left] += 1 - (place - left)
        matrix[i, right] += place - left
    return matrix
