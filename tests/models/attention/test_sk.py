"""The selective kernel convolution against timm, its equation in evaluation, and its closed forms."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from nas_attn.errors import AttentionError
from nas_attn.models.attention.sk import SelectiveKernel
from nas_attn.training.metrics import count_macs, count_parameters


@pytest.mark.parametrize(("branches", "groups"), [(2, 32), (2, 4), (3, 1)])
def test_selective_kernel_is_that_of_timm(branches, groups, feature, reference, assert_same_function):
    layers = reference("timm.layers")
    theirs = layers.SelectiveKernel(
        128,
        128,
        kernel_size=[3, 5, 7][:branches],  # as 3x3 kernels whose taps are that far apart
        groups=groups,
        rd_channels=32,
        split_input=False,
    )
    names = {"attn.fc_reduce": "squeeze", "attn.bn": "norm.norm", "attn.fc_select": "select"}
    for branch in range(branches):
        names |= {f"paths.{branch}.conv": f"branches.{branch}.0", f"paths.{branch}.bn": f"branches.{branch}.1"}
    ours = SelectiveKernel(128, branches, groups, mix=False)
    assert_same_function(ours, theirs, names, feature(3, 128, 6, 7))


@pytest.mark.parametrize(
    ("channels", "branches", "groups", "size"), [(8, 2, 4, (5, 4)), (3, 3, 3, (1, 2)), (1, 4, 32, (3, 3))]
)
def test_selective_kernel_follows_the_equations_of_its_paper(
    channels, branches, groups, size, feature, spread, arrays, convolved
):
    module, x = spread(SelectiveKernel(channels, branches, groups)).eval(), feature(2, channels, *size)
    w, shared = arrays(module), {8: 2, 3: 1, 1: 1}[channels]
    maps = []
    for m in range(branches):
        u = convolved(x.numpy(), w[f"branches.{m}.0.weight"], dilation=m + 1, groups=shared)
        maps.append(np.maximum(_normalised(u, w, f"branches.{m}.1"), 0))
    z = np.einsum("nc,dc->nd", sum(maps).mean((2, 3)), w["squeeze.weight"][:, :, 0, 0])
    z = np.maximum(_normalised(z[:, :, None, None], w, "norm.norm"), 0)[:, :, 0, 0]
    asked = np.exp(z @ w["select.weight"][:, :, 0, 0].T).reshape(2, branches, channels)
    weights = asked / asked.sum(1, keepdims=True)
    chosen = sum(weights[:, m, :, None, None] * u for m, u in enumerate(maps))
    expected = np.einsum("nchw,dc->ndhw", chosen, w["mix.weight"][:, :, 0, 0])
    np.testing.assert_allclose(module(x).detach(), expected, rtol=1e-9, atol=1e-11)


def test_equal_branches_leave_nothing_to_choose(feature, spread):
    """On a constant map away from the border dilation makes no difference, and the weights add up to 1."""
    module = spread(SelectiveKernel(4, mix=False)).eval()
    module.branches[1].load_state_dict(module.branches[0].state_dict())
    x = torch.ones(1, 4, 9, 9, dtype=torch.float64) * torch.arange(4)[:, None, None]
    torch.testing.assert_close(module(x)[..., 4, 4], module.branches[0](x)[..., 4, 4])


@pytest.mark.parametrize(
    ("channels", "branches", "groups", "used"),
    [(64, 2, 32, 16), (17, 3, 4, 1), (1, 2, 32, 1), (24, 2, 16, 4), (256, 2, 32, 32), (32, 2, 32, 8)],
)
def test_selective_kernel_costs_its_closed_form(channels, branches, groups, used):
    module, hidden = SelectiveKernel(channels, branches, groups), max(channels // 16, 32)
    kernel = 9 * channels**2 // used
    choosing = channels * hidden + branches * hidden * channels
    assert count_parameters(module) == branches * (kernel + 2 * channels) + choosing + 2 * hidden + channels**2
    assert count_macs(module, (1, channels, 9, 12)) == (branches * kernel + channels**2) * 9 * 12 + choosing


def test_selective_kernel_has_the_sizes_of_the_published_table():
    assert count_parameters(SelectiveKernel(256, mix=False)) == 62528


def test_a_single_branch_is_no_choice():
    with pytest.raises(
        AttentionError, match=r"^sk: branches is 1; it must be a whole number of at least 2 and at"
    ):
        SelectiveKernel(8, branches=1)


def test_a_single_image_of_one_position_cannot_be_trained_on(feature):
    with pytest.raises(AttentionError, match=r"^sk cannot be trained on a single image with a 1x1 map"):
        SelectiveKernel(4).double()(feature(1, 4, 1, 1))


def _normalised(x, w, name):
    scale = w[f"{name}.weight"] / np.sqrt(w[f"{name}.running_var"] + 1e-5)
    return (x - w[f"{name}.running_mean"][:, None, None]) * scale[:, None, None] + w[f"{name}.bias"][:, None, None]
