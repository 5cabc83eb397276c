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

    A set that is too large for the device stays in the machine's memory and streams: pixels, masks, heights and
    widths are then on the CPU, mean and std on the device.

    Args:
        pixels: raw values; beyond an image's own height and width, copies of its border.
        masks: class indices; 255 is ignored, and stands beyond an image's own height and width.
        heights: true height of each image.
        widths: true width of each image.
        mean: per channel, in pixel units.
        std: per channel, in pixel units.
        clips: number of frames of each clip, in the order of the images; empty where these are still.
        frames: T, so many consecutive frames go through the network together.
    Shape: pixels (N, C, H, W), masks (N, H, W), heights and widths (N,), mean and std (C,).
    """

    pixels: Tensor
    masks: Tensor
    heights: Tensor
    widths: Tensor
    mean: Tensor
    std: Tensor
    clips: tuple[int, ...] = ()
    frames: int = 1

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
        most_bytes: int | None = None,
        clips: tuple[int, ...] = (),
        frames: int = 1,
    ) -> DeviceImages:
        """Bring padded images to a device, enlarged with padding to at least ``least_size`` pixels a side.

        Args:
            most_bytes: a set larger than this stays in the machine's memory; None is no limit.
            clips: number of frames of each clip, all of one size within a clip; empty where images are still.
            frames: T, at most the length of the shortest clip.
        """
        height = max(pixels.shape[2], least_size)
        width = max(pixels.shape[3], least_size)
        padding = (0, width - pixels.shape[3], 0, height - pixels.shape[2])
        packed = F.pad(pixels, padding)
        rows = torch.arange(height).expand(len(heights), -1).minimum(torch.tensor(heights)[:, None] - 1)
        columns = torch.arange(width).expand(len(widths), -1).minimum(torch.tensor(widths)[:, None] - 1)
        packed = packed.gather(2, rows[:, None, :, None].expand_as(packed))
        packed = packed.gather(3, columns[:, None, None, :].expand_as(packed))
        labels = F.pad(masks, padding, value=IGNORE)
        home = home_of(packed, labels, device, most_bytes)
        return cls(
            pixels=packed.to(home),
            masks=labels.to(home),
            heights=torch.tensor(heights, device=home),
            widths=torch.tensor(widths, device=home),
            mean=torch.tensor(mean, device=device),
            std=torch.tensor(std, device=device),
            clips=clips,
            frames=frames,
        )

    def __len__(self) -> int:
        return len(self.pixels)

    @property
    def device(self) -> torch.device:
        """Where batches are wanted."""
        return self.mean.device

    @property
    def streams(self) -> bool:
        """Whether the set is kept elsewhere than on the device."""
        return self.pixels.device != self.device

    @property
    def lengths(self) -> tuple[int, ...]:
        """Number of frames of each clip; an image that is still is a clip of one."""
        return self.clips or (1,) * len(self)

    def normalise(self, pixels: Tensor) -> Tensor:
        """Raw values as float32 with mean 0 and standard deviation 1 over the training set."""
        return (pixels.float() - self.mean.view(1, -1, 1, 1)) / self.std.view(1, -1, 1, 1)


def home_of(pixels: Tensor, masks: Tensor, device: torch.device, most_bytes: int | None) -> torch.device:
    """Where a set is kept: on the device, or on the CPU where it is larger than the device may hold."""
    fits = most_bytes is None or pixels.nbytes + masks.nbytes <= most_bytes
    return device if fits else torch.device("cpu")
