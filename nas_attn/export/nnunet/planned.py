"""Attention in a U-Net that nnU-Net has planned: copied into the file, so it imports nothing but PyTorch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import nn

from nas_attn.models.insertion.hooks import Argument, AttendInput, AttendOutput
from nas_attn.models.insertion.insert import CONTAINER, Attentions


@dataclass(frozen=True)
class Placed:
    """The attention at one location.

    Args:
        make: gives the module for C channels, a gating signal of Cg channels, and K classes.
        gated: it takes the gating signal.
    """

    make: Callable[[int, int, int], nn.Module]
    gated: bool = False


def attend(network: Any, placed: Mapping[str, Placed]) -> Any:
    """Put attention into a network that nnU-Net has planned; its outputs and the names of its weights stay.

    Level N of a location is stage N of the network, from the finest; the deepest stage is the bottleneck.

    Args:
        network: a PlainConvUNet or ResidualEncoderUNet of two dimensions.
        placed: location, such as ``skip.3``, to what stands there.
    Raises:
        ValueError: the network is of another form, or lacks a location.
    """
    _check(network, placed)
    attentions = Attentions()
    for place, one in placed.items():
        stage, _, level = place.partition(".")
        depth = int(level) if level else _deepest(network)
        width = network.encoder.output_channels[depth]
        module = one.make(width, width, network.decoder.num_classes)
        attentions[place.replace(".", "_")] = module
        attentions.handles.append(_hooked(network, stage, depth, module, one.gated))
    network.add_module(CONTAINER, attentions)
    return network


def _check(network: Any, placed: Mapping[str, Placed]) -> None:
    if getattr(getattr(network, "encoder", None), "conv_op", None) is not nn.Conv2d:
        raise ValueError(
            "this attention is for U-Nets of nnU-Net's configuration 2d: nnUNetv2_train DATASET 2d FOLD"
        )
    deepest = _deepest(network)
    if missing := [place for place in placed if int(place.partition(".")[2] or 0) >= deepest]:
        raise ValueError(
            f"nnU-Net planned levels 0 to {deepest - 1} for this data, and the attention is for a deeper network: "
            f"it shall stand at {', '.join(missing)}; export a placement that has none there"
        )


def _deepest(network: Any) -> int:
    return len(network.encoder.output_channels) - 1


def _hooked(network: Any, stage: str, level: int, module: nn.Module, gated: bool) -> Any:
    """Send the feature at a location through the module; gives what takes the hook away."""
    if stage in ("encoder", "bottleneck"):
        after = AttendOutput(module, None)
        return network.encoder.stages[level].register_forward_hook(after, with_kwargs=True)
    width = network.encoder.output_channels[level]
    block = network.decoder.stages[_deepest(network) - 1 - level]
    # What enters a block of the decoder is the up-convolved feature, then the skip.
    gate = Argument(0, None, (0, width)) if gated else None
    if stage == "skip":
        before = AttendInput(module, Argument(0, None, (width, 2 * width)), gate)
        return block.register_forward_pre_hook(before, with_kwargs=True)
    return block.register_forward_hook(AttendOutput(module, gate), with_kwargs=True)
