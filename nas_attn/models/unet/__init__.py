"""A U-Net with attention at some of its locations."""

from nas_attn.models.unet.unet import UNet

__all__ = ["UNet"]
