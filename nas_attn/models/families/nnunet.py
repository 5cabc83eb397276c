"""Networks of nnU-Net, from its plans or by their names: ``nnunet:plans.json``, ``nnunet:PlainConvUNet``."""

from __future__ import annotations

import importlib
import json
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from nas_attn.errors import NetworkError
from nas_attn.models.asked_network import AskedNetwork
from nas_attn.models.families import Builder, network_family
from nas_attn.models.families._call import known, library

CONFIGURATION = "2d"
_FEATURES = (32, 64, 128, 256, 512)
_USUAL = MappingProxyType(
    {
        "n_stages": 5,
        "features_per_stage": _FEATURES,
        "conv_op": "torch.nn.Conv2d",
        "kernel_sizes": 3,
        "strides": (1, 2, 2, 2, 2),
        "conv_bias": True,
        "norm_op": "torch.nn.InstanceNorm2d",
        "norm_op_kwargs": {"eps": 1e-5, "affine": True},
        "nonlin": "torch.nn.LeakyReLU",
        "nonlin_kwargs": {"inplace": True},
    }
)
"""As nnU-Net v2 plans them, but with fewer features."""
_IMPORTED = ("conv_op", "norm_op", "dropout_op", "nonlin")
DEFAULTS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "PlainConvUNet": {"n_conv_per_stage": 2, "n_conv_per_stage_decoder": 2},
        "ResidualEncoderUNet": {"n_blocks_per_stage": 2, "n_conv_per_stage_decoder": 2},
    }
)
_HOME = "dynamic_network_architectures.architectures.unet"


@network_family("nnunet")
def plan_nnunet(asked: AskedNetwork, in_channels: int, classes: int) -> Builder:
    """Plan a class of dynamic_network_architectures, or the network of the 2-D configuration of a plans file.

    Raises:
        NetworkError: the package is not installed or has no such network, or the file is not a plans file.
    """
    home = library(_HOME, "nnunet")
    if asked.build.endswith(".json"):
        name, planned, imported = _planned(Path(asked.build))
        builder = _imported(name)
    else:
        name = known(asked.build, DEFAULTS, "nnU-Net")
        builder, planned, imported = getattr(home, name), {**_USUAL, **DEFAULTS[name]}, _IMPORTED
    arguments = {**planned, **asked.arguments}
    for field in imported:
        if isinstance(arguments.get(field), str):
            arguments[field] = _imported(arguments[field])
    given = {"input_channels": in_channels, "num_classes": classes, "deep_supervision": False}
    return Builder(str(asked), builder, f"{builder.__module__}.{builder.__name__}", {**given, **arguments})


def _planned(path: Path) -> tuple[str, dict[str, Any], tuple[str, ...]]:
    """Class, arguments, and the arguments that are names of classes, of the 2-D configuration."""
    try:
        plans = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise NetworkError(f"{path}: cannot be read as nnU-Net's plans: {error}") from error
    try:
        configurations = plans["configurations"]
        found = configurations[CONFIGURATION]["architecture"]
        return found["network_class_name"], dict(found["arch_kwargs"]), tuple(found["_kw_requires_import"])
    except (KeyError, TypeError) as error:
        raise NetworkError(
            f"{path}: has no configurations.{CONFIGURATION}.architecture; give the plans file that "
            "nnUNetv2_plan_and_preprocess (2.5 or newer) wrote"
        ) from error


def _imported(name: str) -> Any:
    """The object that a dotted name of a plans file means; only from torch and from nnU-Net's own package."""
    module, _, attribute = name.rpartition(".")
    if module.partition(".")[0] not in ("torch", "dynamic_network_architectures"):
        raise NetworkError(
            f"the plans name {name}, which is neither of torch nor of dynamic_network_architectures"
        )
    try:
        return getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise NetworkError(f"the plans name {name}, which is not there: {error}") from error
