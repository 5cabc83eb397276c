"""Networks of MONAI for images: ``monai:BasicUNet``."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from nas_attn.models.asked_network import IMAGENET, AskedNetwork
from nas_attn.models.families import Builder, network_family
from nas_attn.models.families._call import known, library, parameters_of

_LEVELS = {"channels": (16, 32, 64, 128, 256), "strides": (2, 2, 2, 2)}
DEFAULTS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "UNet": {**_LEVELS, "num_res_units": 2},
        "AttentionUnet": _LEVELS,
        "BasicUNet": {},
        "BasicUNetPlusPlus": {},
        "DynUNet": {
            "kernel_size": (3, 3, 3, 3, 3),
            "strides": (1, 2, 2, 2, 2),
            "upsample_kernel_size": (2, 2, 2, 2),
        },
        "FlexibleUNet": {"backbone": "efficientnet-b0"},
        "SegResNet": {},
    }
)
"""Default arguments for classes that need them."""


def plan_pretrained(asked: AskedNetwork, in_channels: int, classes: int) -> Builder:
    """Plan a network with ImageNet weights in the encoder, which only FlexibleUNet has."""
    return _planned(asked, in_channels, classes, pretrained=True)


@network_family("monai", pretrained=plan_pretrained)
def plan_monai(asked: AskedNetwork, in_channels: int, classes: int) -> Builder:
    """Plan a class of ``monai.networks.nets`` with ``spatial_dims=2``; a part after a slash is the name of the
    backbone.

    Raises:
        NetworkError: MONAI is not installed, or has no such network.
    """
    return _planned(asked, in_channels, classes, pretrained=False)


def _planned(asked: AskedNetwork, in_channels: int, classes: int, *, pretrained: bool) -> Builder:
    nets = library("monai.networks.nets", "monai")
    wanted, _, backbone = asked.build.partition("/")
    name = known(wanted, DEFAULTS, "MONAI")
    builder = getattr(nets, name)
    takes = parameters_of(builder)
    arguments = {
        "spatial_dims": 2,
        "in_channels": in_channels,
        "out_channels": classes,
        **DEFAULTS[name],
        **({"backbone": backbone} if backbone else {}),
        **({"pretrained": pretrained} if pretrained or "pretrained" in takes else {}),
        **asked.arguments,
    }
    title = f"{asked} with weights {IMAGENET}" if pretrained else str(asked)
    return Builder(title, builder, f"monai.networks.nets.{name}", arguments)
