"""The layers between two levels."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from nas_attn.models.network import UPSAMPLINGS
from nas_attn.models.unet.up import BilinearUp, TransposeUp, up_layer


@pytest.mark.parametrize("upsampling", UPSAMPLINGS)
@pytest.mark.parametrize(("height", "width"), [(6, 8), (7, 8), (6, 9), (7, 9), (2, 3)])
def test_the_fine_map_has_exactly_the_size_of_the_skip(height: int, width: int, upsampling: str) -> None:
    coarse, skip = torch.randn(2, 4, height // 2, width // 2), torch.randn(2, 1, height, width)
    assert up_layer(upsampling, 4, 3)(coarse, skip).shape == (2, 3, height, width)


def test_an_odd_last_row_and_column_repeat_their_neighbours() -> None:
    up, coarse = TransposeUp(4, 3), torch.randn(2, 4, 3, 5)
    expected = functional.pad(up.conv(coarse), (0, 1, 0, 1), mode="replicate")
    assert torch.equal(up(coarse, torch.zeros(2, 1, 7, 11)), expected)


@pytest.mark.parametrize(("height", "width"), [(6, 10), (7, 11)])
def test_convolving_before_interpolating_is_interpolating_before_convolving(height: int, width: int) -> None:
    up, coarse = BilinearUp(4, 3), torch.randn(2, 4, 3, 5)
    expected = up.conv(functional.interpolate(coarse, (height, width), mode="bilinear"))
    torch.testing.assert_close(up(coarse, torch.zeros(2, 1, height, width)), expected)
