"""The spatial transformer: there and back, against torch's affine grid, by finite differences, and at work."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from nas_attn.models.attention.stn import Pose, SpatialTransformer
from nas_attn.models.placement import AttentionSpec, Location, Site, Stage
from nas_attn.training import Recipe, initialise, segmentation_loss
from nas_attn.training.evaluation.cost_table import added_cost
from nas_attn.training.flat import kernels_and_others
from nas_attn.training.metrics import count_parameters
from nas_attn.training.optimiser import build_optimiser, learning_rates

SIZES = pytest.mark.parametrize("size", [(9, 7), (16, 16), (1, 1), (5, 20)], ids=str)


def pose(*numbers: float) -> Pose:
    return Pose.of(torch.tensor([numbers], dtype=torch.float64))


def smooth(height: int, width: int, seed: int = 0) -> torch.Tensor:
    """A sum of slow random waves in each of two channels."""
    generator = torch.Generator().manual_seed(seed)
    waves = torch.randn(2, 6, 1, 1, 3, generator=generator, dtype=torch.float64)
    rows = torch.linspace(0, 3, height, dtype=torch.float64)[:, None]
    columns = torch.linspace(0, 2, width, dtype=torch.float64)
    return (waves[..., 0] * rows + waves[..., 1] * columns + 3 * waves[..., 2]).sin().sum(1)[None]


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


@pytest.mark.parametrize("seed", range(3))
def test_warped_there_and_back_the_middle_of_a_smooth_map_is_kept_and_a_bare_warp_loses_it(seed):
    x, there = smooth(48, 40, seed), pose(0.2, -0.2, 0.5, 0.1, 0.05, -0.05)
    kept, warped = there.inverse().warp(there.warp(x)), there.warp(x)
    assert _decibel(kept, x) > max(25, _decibel(warped, x) + 15)


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
        module.locate[-1].bias.copy_(torch.tensor([0.0, 0, 0.4, 0, 0.1, 0]) / module.locate[-1].factor)
    given = []
    y = module(x, lambda entering: given.append(entering) or entering.sin())
    one = module.pose(x)
    torch.testing.assert_close(one.matrix, pose(0, 0, 0.4, 0, 0.1, 0).matrix)
    torch.testing.assert_close(given[0], one.warp(x))
    torch.testing.assert_close(y, one.inverse().warp(given[0].sin()))


def test_learning_to_tell_the_halves_of_turned_shapes_it_finds_their_angles_and_beats_the_block_alone():
    """By the segmentation loss and the recipe of a search; nobody tells it an angle.

    In 300 steps it was always ahead by 0.05 to 0.07, whatever the seed and the processor, and its angles followed
    with a correlation above 0.99; in half as many, chance decides who is ahead.
    """
    ahead, followed = [], []
    images, masks, angles = _turned(300, torch.Generator().manual_seed(7))
    for seed in (0, 1):
        alone, transformed = (kind(_block()) for kind in (_Alone, _Transformed))
        for net in (alone, transformed):
            _train(net, steps=300, seed=seed)
        with torch.no_grad():
            by_block, by_both = (_dice(net(images).argmax(1), masks) for net in (alone, transformed))
            matrix = transformed.stn.pose(images).matrix
        found = torch.atan2(matrix[:, 1, 0], matrix[:, 0, 0])
        ahead.append(by_both - by_block)
        followed.append(abs(np.corrcoef(found, angles)[0, 1]))
        assert by_block > 0.7
    assert np.mean(followed) > 0.8
    assert np.mean(ahead) > 0.02


@pytest.mark.parametrize(("channels", "entering"), [(64, 64), (256, 128), (8, 3)])
def test_spatial_transformer_costs_its_closed_form(channels, entering):
    parameters = 16 * entering + 16 + (16 * 64 * 32 + 32) + (32 * 6 + 6)
    assert count_parameters(SpatialTransformer(channels, entering)) == parameters
    site = Site(Location(Stage.ENCODER, 1), channels, 9, 12, block_channels=entering)
    macs = 16 * entering * 9 * 12 + 16 * 64 * 32 + 32 * 6
    assert added_cost(AttentionSpec("stn"), site, classes=2) == (parameters, macs)


def _block():
    return nn.Sequential(nn.Conv2d(1, 4, 7, padding=3), nn.ReLU(), nn.Conv2d(4, 3, 1))


class _Alone(nn.Module):
    def __init__(self, block):
        super().__init__()
        self.block = block

    def forward(self, x):
        return self.block(x)


class _Transformed(_Alone):
    def __init__(self, block):
        super().__init__(block)
        self.stn = SpatialTransformer(3, 1)

    def forward(self, x):
        return self.stn(x, self.block)


def _train(net, steps, seed):
    generator, recipe, rate = torch.Generator().manual_seed(1 + seed), Recipe(), torch.zeros(())
    initialise(net, seed)
    optimiser = build_optimiser(*kernels_and_others(net), recipe, rate=rate)
    for now in learning_rates(recipe, steps):
        images, masks, _ = _turned(32, generator)
        optimiser.zero_grad()
        segmentation_loss(net(images), masks).backward()
        nn.utils.clip_grad_norm_(net.parameters(), recipe.clip_norm)
        rate.copy_(now)
        optimiser.step()


def _turned(count, generator):
    """Noisy images of a T near the middle, at any angle up to 1 rad, masks of its two halves, and the angles."""
    angles = 2 * torch.rand(count, generator=generator) - 1
    middle = 2 * torch.rand(2, count, 1, 1, generator=generator) - 1
    rows, columns = torch.meshgrid(*2 * [torch.arange(20) - 9.5], indexing="ij")
    cos, sin = angles.cos()[:, None, None], angles.sin()[:, None, None]
    across = (columns - middle[1]) * cos + (rows - middle[0]) * sin
    along = (rows - middle[0]) * cos - (columns - middle[1]) * sin
    shape = ((across.abs() < 1.2) & (along.abs() < 6)) | ((across.abs() < 5) & (along > -6) & (along < -3.6))
    masks = torch.where(across < 0, 1, 2) * shape
    images = 2.0 * shape + 0.3 * torch.randn(shape.shape, generator=generator)
    return images[:, None], masks, angles


def _dice(found, masks):
    overlaps = [((found == k) & (masks == k)).sum() for k in (1, 2)]
    sizes = [(found == k).sum() + (masks == k).sum() for k in (1, 2)]
    return np.mean([2 * overlap / size for overlap, size in zip(overlaps, sizes, strict=True)])


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
