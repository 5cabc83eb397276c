"""A U-Net as people write it: nothing in it knows of nas-attn."""

import torch
from torch import nn


def double_conv(in_channels: int, out_channels: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, 3, padding=1, bias=False),
        nn.BatchNorm2d(out_channels),
        nn.ReLU(inplace=True),
        nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False),
        nn.BatchNorm2d(out_channels),
        nn.ReLU(inplace=True),
    )


class SmallUNet(nn.Module):
    """(N, in_channels, H, W) -> logits (N, n_classes, H, W); H and W are multiples of 8."""

    def __init__(self, in_channels: int = 3, n_classes: int = 2, width: int = 8) -> None:
        super().__init__()
        self.enc0 = double_conv(in_channels, width)
        self.enc1 = double_conv(width, 2 * width)
        self.enc2 = double_conv(2 * width, 4 * width)
        self.middle = double_conv(4 * width, 8 * width)
        self.pool = nn.MaxPool2d(2)
        self.up2 = nn.ConvTranspose2d(8 * width, 4 * width, 2, stride=2)
        self.dec2 = double_conv(8 * width, 4 * width)
        self.up1 = nn.ConvTranspose2d(4 * width, 2 * width, 2, stride=2)
        self.dec1 = double_conv(4 * width, 2 * width)
        self.up0 = nn.ConvTranspose2d(2 * width, width, 2, stride=2)
        self.dec0 = double_conv(2 * width, width)
        self.head = nn.Conv2d(width, n_classes, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        skip0 = self.enc0(x)
        skip1 = self.enc1(self.pool(skip0))
        skip2 = self.enc2(self.pool(skip1))
        x = self.middle(self.pool(skip2))
        x = self.dec2(torch.cat([skip2, self.up2(x)], dim=1))
        x = self.dec1(torch.cat([skip1, self.up1(x)], dim=1))
        x = self.dec0(torch.cat([skip0, self.up0(x)], dim=1))
        logits: torch.Tensor = self.head(x)
        return logits
