"""Any network that attention is placed in: our U-Net, or one of somebody else's."""

from __future__ import annotations

from nas_attn.models.described_network import DescribedNetwork
from nas_attn.models.network import UNetConfig

Network = UNetConfig | DescribedNetwork
