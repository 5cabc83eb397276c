"""The network: a U-Net with attention where a placement puts it."""

from __future__ import annotations

from nas_attn.models.unet.build import build_unet
from nas_attn.models.unet.unet import UNet

__all__ = ["UNet", "build_unet"]
