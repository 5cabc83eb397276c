"""The spatial transformer: there and back, against torch's affine grid, by finite differences, and at work."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from nas_attn.attention.stn import Pose, SpatialTransformer
from nas_attn.evaluate.costs import added_cost
from nas_attn.measure import count_parameters
from nas_attn.placement import AttentionSpec, Location, Site, Stage

SIZES = pytest.mark.parametrize("size", [(9, 7), (16, 16), (1, 1), (5, 20)], ids=str)


def pose(*numbers: float) -> Pose:
    return Pose.of(torch.tensor([numbers], dtype=torch.float64))


def smooth(height: int, width: int) -> torch.Tensor:
    rows = torch.linspace(0, 3, height, dtype=torch.float64)[:, None]
    columns = torch.linspace(0, 2, width, dtype=torch.float64)
    return torch.stack([(rows + columns).sin(), (2 * rows - columns).cos()])[None]


@SIZES
def test_it_starts_as_the_identity(size, feature):
    module, x = SpatialTransformer(4, 3), feature(2, 3, *size).float()
    torch.testing.assert_close(module(x, nn.Identity()), x, rtol=0, atol=1e-5)


@SIZES
@pytest.mark.parametrize("numbers", [(0.3, -0.2, 0.5, 0.4, 0.1, -0.3), (0, 0, 1.0, 0, 0, 0), (-1, 2, 0, 0, 1, 0)])
def test_a_pose_reads_where_its_equation_says(numbers, size, feature):
    x = feature(1, 2, *size)
    height, width = size
    a, b, r, s, tx, ty = numbers
    rotation = np.array([[math.cos(r), -math.sin(r)], [math.sin(r), math.cos(r)]])
    matrix = rotation @ np.array([[2 ** math.tanh(a), math.tanh(s) / 2], [0, 2 ** math.tanh(b)]])
    half = max(size) / 2
    expected = np.zeros((2, height, width))
    for row in range(height):
        for column in range(width):
            at = np.array([column - (width - 1) / 2, row - (height - 1) / 2]) / half
            there = half * (matrix @ at + np.tanh([tx, ty]) / 2)
            expected[:, row, column] = _read(x[0].numpy(), there[1] + (height - 1) / 2, there[0] + (width - 1) / 2)
    np.testing.assert_allclose(pose(*numbers).warp(x)[0], expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("numbers", [(0.3, -0.2, 0.5, 0.4, 0.1, -0.3), (3, -3, 9, -5, 4, -4)])
def test_a_pose_is_an_affine_grid_of_torch(numbers, feature):
    x, one = feature(1, 3, 12, 12), pose(*numbers)
    grid = functional.affine_grid(
        torch.cat([one.matrix, one.shift[:, :, None]], 2), (1, 3, 12, 12), align_corners=False
    )
    expected = functional.grid_sample(x, grid, padding_mode="border", align_corners=False)
    torch.testing.assert_close(one.warp(x), expected)


@pytest.mark.parametrize("numbers", [(0.3, -0.2, 0.5, 0.4, 0.1, -0.3), (9, 9, 3, 9, 9, -9), (-9, -9, 7, -9, 1, 1)])
def test_every_pose_can_be_turned_back(numbers):
    there = pose(*numbers)
    back = there.inverse()
    eye = torch.eye(2, dtype=torch.float64)[None]
    torch.testing.assert_close(there.matrix @ back.matrix, eye)
    torch.testing.assert_close((there.matrix @ back.shift[:, :, None])[:, :, 0], -there.shift)
    assert 0.25 - 1e-9 <= torch.linalg.det(there.matrix).item() <= 4 + 1e-9


def test_warped_there_and_back_the_middle_of_a_smooth_map_is_kept_and_a_bare_warp_loses_it():
    x, there = smooth(48, 40), pose(0.2, -0.2, 0.5, 0.1, 0.05, -0.05)
    kept, warped = there.inverse().warp(there.warp(x)), there.warp(x)
    assert _decibel(kept, x) > 25 > 20 > _decibel(warped, x)


def test_gradients_pass_through_the_pose_as_finite_differences_say(feature):
    x = smooth(5, 4)

    def there_and_back(numbers: torch.Tensor) -> torch.Tensor:
        one = Pose.of(numbers)
        return one.inverse().warp(one.warp(x).square())

    numbers = torch.tensor([[0.11, -0.23, 0.37, 0.19, 0.07, -0.13]], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(there_and_back, numbers)


def test_block_works_in_the_pose(feature):
    """The block is given the warped map, and what it returns is warped back."""
    module, x = SpatialTransformer(2, 2).double(), feature(1, 2, 9, 9)
    with torch.no_grad():
        module.locate[-1].bias.copy_(torch.tensor([0.0, 0, 4, 0, 1, 0]))  # at a tenth of what is stored
    given = []
    y = module(x, lambda entering: given.append(entering) or entering.sin())
    one = module.pose(x)
    torch.testing.assert_close(one.matrix, pose(0, 0, 0.4, 0, 0.1, 0).matrix)
    torch.testing.assert_close(given[0], one.warp(x))
    torch.testing.assert_close(y, one.inverse().warp(given[0].sin()))


def test_it_learns_to_turn_shapes_upright():
    """Bars at random angles; a block that only knows upright bars."""
    torch.manual_seed(0)
    module = SpatialTransformer(1, 1)
    optimiser = torch.optim.Adam(module.parameters(), lr=0.01)
    upright = _bars(torch.zeros(1))
    for _ in range(150):
        angles = torch.rand(32) * 1.6 - 0.8
        bars = _bars(angles)
        turned = module.pose(bars).warp(bars)
        optimiser.zero_grad()
        (turned - upright).square().mean().backward()
        optimiser.step()
    angles = torch.linspace(-0.75, 0.75, 41)
    with torch.no_grad():
        matrix = module.pose(_bars(angles)).matrix
    found = torch.atan2(matrix[:, 1, 0], matrix[:, 0, 0])
    assert abs(np.corrcoef(found, angles)[0, 1]) > 0.8


@pytest.mark.parametrize(("channels", "entering"), [(64, 64), (256, 128), (8, 3)])
def test_spatial_transformer_costs_its_closed_form(channels, entering):
    parameters = 16 * entering + 16 + (16 * 64 * 32 + 32) + (32 * 6 + 6)
    assert count_parameters(SpatialTransformer(channels, entering)) == parameters
    site = Site(Location(Stage.ENCODER, 1), channels, 9, 12, block_channels=entering)
    macs = 16 * entering * 9 * 12 + 16 * 64 * 32 + 32 * 6
    assert added_cost(AttentionSpec("stn"), site, classes=2) == (parameters, macs)


def _bars(angles):
    """A bright bar for each angle, off the middle, on 16x16."""
    axis = (torch.arange(16) - 7.5) / 8
    rows, columns = torch.meshgrid(axis, axis, indexing="ij")
    cos, sin = angles.cos()[:, None, None], angles.sin()[:, None, None]
    across, along = columns * cos + rows * sin, rows * cos - columns * sin
    return (torch.exp(-((across / 0.2) ** 2)) * torch.sigmoid(8 * (along + 0.3)))[:, None]


def _decibel(y, x):
    middle = (..., slice(14, -14), slice(12, -12))
    error = (y - x)[middle].square().mean()
    return 10 * math.log10((x.max() - x.min()) ** 2 / error)


def _read(x, row, column):
    """Bilinear interpolation on a map whose border goes on."""
    row, column = np.clip(row, 0, x.shape[1] - 1), np.clip(column, 0, x.shape[2] - 1)
    i, j = int(row), int(column)
    below, right = min(i + 1, x.shape[1] - 1), min(j + 1, x.shape[2] - 1)
    upper = x[:, i, j] * (1 - column + j) + x[:, i, right] * (column - j)
    lower = x[:, below, j] * (1 - column + j) + x[:, below, right] * (column - j)
    return upper * (1 - row + i) + lower * (row - i)
