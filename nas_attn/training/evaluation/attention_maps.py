"""Maps of where the modules of a trained network amplify or attenuate their input."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from nas_attn.models.build import attention_modules
from nas_attn.models.unet import UNet
from nas_attn.training import Precision

_ALIKE = 0.01
"""Tolerance for "one factor per channel", as a share of the module's output: rounding in half precision."""


@torch.no_grad()
def attention_maps(network: nn.Module, inputs: Tensor, precision: Precision, image: int = 0) -> dict[str, Tensor]:
    """How much each module scales each position of one image: |y| / |x|, norms over the channels.

    x is the module's input and y its output, recorded in an ordinary forward pass. Values above 1 mean that a
    position is amplified, below 1 attenuated. Some modules have no such map: those that give each channel one
    factor for all positions (se, eca ...), those that return their input, and those that replace a convolution or
    a block.

    Args:
        network: in eval mode.
        inputs: one normalised image, or the frames of a clip that go through the network together, (N, C, H, W),
            on the network's device.
        precision: in which the network is called.
        image: index of the image whose maps are returned.
    Returns:
        map (h, w) of each location, such as ``skip.0``, in float32 on the CPU; NaN where the feature is 0. In the
        order in which the network calls its modules.
    """
    seen: dict[str, tuple[Tensor, Tensor]] = {}
    modules = attention_modules(network)
    within_blocks = network.instead | network.beside | network.around if isinstance(network, UNet) else frozenset()
    handles = [
        module.register_forward_hook(_watcher(seen, place, image))
        for place, module in modules.items()
        if place not in within_blocks
    ]
    try:
        with precision.autocast(inputs.device):
            network(precision.arrange(inputs))
    finally:
        for handle in handles:
            handle.remove()
    return {place: _lengths(*pair) for place, pair in seen.items() if not _scales_channels_only(*pair)}


def _watcher(seen: dict[str, tuple[Tensor, Tensor]], place: str, image: int) -> Callable[..., None]:
    def watch(_: nn.Module, given: tuple[Tensor, ...], returned: Tensor) -> None:
        one = slice(image, image + 1)
        seen[place] = given[0][one].float(), returned[one].float()

    return watch


def _scales_channels_only(given: Tensor, returned: Tensor) -> bool:
    """Whether the output is the input times one factor per channel, fitted by least squares."""
    x, y = given.flatten(2), returned.flatten(2)
    factors = (x * y).sum(2, keepdim=True) / x.square().sum(2, keepdim=True).clamp_min(1e-12)
    return bool((y - factors * x).norm() <= _ALIKE * y.norm())


def _lengths(given: Tensor, returned: Tensor) -> Tensor:
    before, after = given[0].norm(dim=0), returned[0].norm(dim=0)
    ratio = after / before
    return torch.where(before > 0, ratio, torch.full_like(ratio, torch.nan)).cpu()
