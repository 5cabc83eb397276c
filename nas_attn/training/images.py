"""A whole set of images and masks on the training device."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from nas_attn.training.loss import IGNORE


@dataclass(frozen=True, eq=False)
class DeviceImages:
    """Images in one padded tensor, so that a batch is an indexing operation.

    Args:
        pixels: raw values; beyond an image's own height and width, copies of its border.
        masks: class indices; 255 is ignored, and stands beyond an image's own height and width.
        heights: true height of each image.
        widths: true width of each image.
        mean: per channel, in pixel units.
        std: per channel, in pixel units.
    Shape: pixels (N, C, H, W), masks (N, H, W), heights and widths (N,), mean and std (C,).
    """

    pixels: Tensor
    masks: Tensor
    heights: Tensor
    widths: Tensor
    mean: Tensor
    std: Tensor

    @classmethod
    def pack(
        cls,
        pixels: Tensor,
        masks: Tensor,
        heights: tuple[int, ...],
        widths: tuple[int, ...],
        mean: tuple[float, ...],
        std: tuple[float, ...],
        *,
        least_size: int,
        device: torch.device,
    ) -> DeviceImages:
        """Bring padded images to a device, enlarged with padding to at least ``least_size`` pixels a side."""
        height = max(pixels.shape[2], least_size)
        width = max(pixels.shape[3], least_size)
        padding = (0, width - pixels.shape[3], 0, height - pixels.shape[2])
        packed = F.pad(pixels, padding)
        rows = torch.arange(height).expand(len(heights), -1).minimum(torch.tensor(heights)[:, None] - 1)
        columns = torch.arange(width).expand(len(widths), -1).minimum(torch.tensor(widths)[:, None] - 1)
        packed = packed.gather(2, rows[:, None, :, None].expand_as(packed))
        packed = packed.gather(3, columns[:, None, None, :].expand_as(packed))
        return cls(
            pixels=packed.to(device),
            masks=F.pad(masks, padding, value=IGNORE).to(device),
            heights=torch.tensor(heights, device=device),
            widths=torch.tensor(widths, device=device),
            mean=torch.tensor(mean, device=device),
            std=torch.tensor(std, device=device),
        )

    def __len__(self) -> int:
        return len(self.pixels)

    def normalise(self, pixels: Tensor) -> Tensor:
        """Raw values as float32 with mean 0 and standard deviation 1 over the training set."""
        return (pixels.float() - self.mean.view(1, -1, 1, 1)) / self.std.view(1, -1, 1, 1)
