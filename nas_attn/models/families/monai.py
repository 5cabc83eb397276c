"""Networks of MONAI for images: ``monai:BasicUNet``."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from torch import nn

from nas_attn.models.asked_network import IMAGENET, AskedNetwork
from nas_attn.models.families._call import called, known, library, parameters_of
from nas_attn.models.families._family import network_family

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
"""What is given where nobody says otherwise, for classes that ask for it."""


def build_pretrained(asked: AskedNetwork, in_channels: int, classes: int) -> nn.Module:
    """With ImageNet weights of the encoder, which FlexibleUNet alone has."""
    return _built(asked, in_channels, classes, pretrained=True)


@network_family("monai", pretrained=build_pretrained)
def build_monai(asked: AskedNetwork, in_channels: int, classes: int) -> nn.Module:
    """A class of ``monai.networks.nets`` with ``spatial_dims=2``; a part after a slash is the backbone's name.

    Raises:
        NetworkError: MONAI is not installed, has no such network, or refuses the arguments.
    """
    return _built(asked, in_channels, classes, pretrained=False)


def _built(asked: AskedNetwork, in_channels: int, classes: int, *, pretrained: bool) -> nn.Module:
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
    return called(f"{asked} with weights {IMAGENET}" if pretrained else str(asked), builder, arguments)
