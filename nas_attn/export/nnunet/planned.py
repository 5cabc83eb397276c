"""Attention in a U-Net that nnU-Net has planned. This is copied into the file, so it imports only PyTorch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import nn

from nas_attn.models.insertion.hooks import Argument, AttendInput, AttendOutput
from nas_attn.models.insertion.insert import CONTAINER, Attentions
from nas_attn.models.insertion.stand_in import StandIn


@dataclass(frozen=True)
class Placed:
    """The attention at one location, which refines its feature.

    Args:
        make: returns the module for C channels, a gating signal of Cg channels, and K classes.
        gated: whether it takes the gating signal.
    """

    make: Callable[[int, int, int], nn.Module]
    gated: bool = False

    def put(self, network: Any, stage: str, level: int) -> tuple[nn.Module, Any]:
        """Insert the module into a network. Returns it, and the handle that removes it."""
        width = network.encoder.output_channels[level]
        module = self.make(width, width, network.decoder.num_classes)
        block = _stage_of(network, stage, level)
        if stage in ("encoder", "bottleneck"):
            return module, block.register_forward_hook(AttendOutput(module, None), with_kwargs=True)
        # What enters a block of the decoder is the up-convolved feature, then the skip.
        gate = Argument(0, None, (0, width)) if self.gated else None
        if stage == "skip":
            before = AttendInput(module, Argument(0, None, (width, 2 * width)), gate)
            return module, block.register_forward_pre_hook(before, with_kwargs=True)
        return module, block.register_forward_hook(AttendOutput(module, gate), with_kwargs=True)


@dataclass(frozen=True)
class PlacedInstead(Placed):
    """The attention at one location that replaces or wraps a part of the network.

    Args:
        make: returns the module for C channels, Cb channels of the block's input, and K classes.
        gated: False; no such attention takes a gating signal.
        part: ``block``, the location's stage, or the last block of a stage that halves its map; or
            ``convolution``, the block's last 3x3 convolution.
        around: whether the module takes the part as a function; otherwise the part is not used.
    """

    part: str = "convolution"
    around: bool = False

    def put(self, network: Any, stage: str, level: int) -> tuple[nn.Module, Any]:
        """Insert the module into a network. Returns it, and the handle that removes it.

        Raises:
            ValueError: the location has no such part.
        """
        width, block = network.encoder.output_channels[level], _stage_of(network, stage, level)
        if _convolutions(block)[0].stride != (1, 1):
            while isinstance(block, nn.Sequential):
                block = block[-1]
            block = (block.convs if hasattr(block, "convs") else block.blocks)[-1]
        within = _convolutions(block)
        module = self.make(width, within[0].in_channels, network.decoder.num_classes)
        fitting = [one for one in within if _fits(one, width)]
        if within[0].stride != (1, 1) or (self.part == "convolution" and not fitting):
            raise ValueError(
                f"nnU-Net planned no {self.part} at {stage}.{level} that keeps the size of its map, but the "
                "placement has attention at one; export a placement that has none there"
            )
        instead = StandIn(module, block if self.part == "block" else fitting[-1], self.around)
        instead.begin()
        return module, instead


def attend(network: Any, placed: Mapping[str, Placed]) -> Any:
    """Insert attention into a network that nnU-Net has planned. The names of its weights stay.

    Level N of a location is stage N of the network, from the finest; the deepest stage is the bottleneck.

    Args:
        network: a PlainConvUNet or ResidualEncoderUNet of two dimensions.
        placed: maps a location, such as ``skip.3``, to its attention.
    Raises:
        ValueError: the network has another form, or lacks a location or a part of one.
    """
    _check(network, placed)
    attentions = Attentions()
    for place, one in placed.items():
        stage, _, level = place.partition(".")
        module, handle = one.put(network, stage, int(level) if level else _deepest(network))
        attentions[place.replace(".", "_")] = module
        attentions.handles.append(handle)
    network.add_module(CONTAINER, attentions)
    return network


def _stage_of(network: Any, stage: str, level: int) -> Any:
    """The submodule that returns the feature of a location; for a skip, the submodule that takes it."""
    if stage in ("encoder", "bottleneck"):
        return network.encoder.stages[level]
    return network.decoder.stages[_deepest(network) - 1 - level]


def _convolutions(block: nn.Module) -> list[nn.Conv2d]:
    """The convolutions in a block, in the order in which they are called; for a residual block, including its
    shortcut's."""
    return [one for one in block.modules() if isinstance(one, nn.Conv2d)]


def _fits(convolution: nn.Conv2d, width: int) -> bool:
    shape = (convolution.in_channels, convolution.out_channels, convolution.kernel_size, convolution.stride)
    return shape == (width, width, (3, 3), (1, 1))


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
