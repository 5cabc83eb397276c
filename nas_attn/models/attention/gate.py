"""Attention gate."""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn
from torch.nn import functional

from nas_attn.errors import AttentionError
from nas_attn.models.attention._neutral import from_zero, scaled
from nas_attn.models.attention._registry import attention, check_batch_statistics
from nas_attn.models.kind import GATED_STAGES, AttentionKind, Option

KIND = AttentionKind(
    name="gate",
    title="attention gate",
    paper="Oktay et al. 2018, arXiv:1804.03999",
    stages=GATED_STAGES,
    options=(
        Option(
            "variant",
            "common",
            "common: at full resolution, normalised; oktay: the authors' code, at half resolution",
            choices=("common", "oktay"),
        ),
        Option(
            "signal",
            "upconvolved",
            "upconvolved: the decoder feature at the level's size, where a network has it; coarse: as it enters",
            choices=("upconvolved", "coarse"),
        ),
        Option("align_corners", False, "align_corners of the resizing, as in torch"),
    ),
    needs_gate=True,
    neutral_start=True,
)


@attention(KIND)
class AttentionGate(nn.Module):
    """Reweight the positions of x by a gating signal (Oktay et al. 2018, arXiv:1804.03999, eq. 1-2).

        y = x * sigmoid(psi(relu(W_x x + W_g g)))          neutral: y = x * 2 sigmoid(...)

    Both variants extend this equation: ``common`` (see ``CommonGate``) normalises each of the three convolutions,
    ``oktay`` (see ``OktayGate``) computes the weights at half resolution and convolves the gated map.

    With the signal ``upconvolved``, g is the decoder feature that the level's up-convolution has brought to C
    channels and the size of x, as in most Attention U-Nets (MONAI, LeeJunHyun/Image_Segmentation). With
    ``coarse``, g is this feature as it enters the level, with 2C channels and half the size, as in the paper. The
    network chooses which one it passes; a network without up-convolutions has only the coarse feature.

    At a skip the gate filters the feature from the encoder. After a decoder's block, where the paper has no gate,
    it filters the block's output by the signal from which the block was computed.

    Args:
        channels: C of the input.
        gate_channels: Cg of the gating signal.
        variant: ``common`` or ``oktay``.
        signal: which feature is g: ``upconvolved`` or ``coarse``; the module itself does not use it.
        align_corners: as in torch, for each bilinear interpolation.
        neutral: twice the sigmoid, whose argument is 0 at step 0; the W of ``oktay`` starts as usual.
    Shape: (N, C, H, W), (N, Cg, h, w) -> (N, C, H, W); h x w may be any size.
    Raises:
        AttentionError: ``channels`` or ``gate_channels`` is below 1, ``variant`` is not allowed, the map is too
            small for ``oktay``, or a batch in training is a single 1x1 map.
    """

    def __init__(
        self,
        channels: int,
        gate_channels: int,
        variant: Literal["common", "oktay"] = "common",
        signal: Literal["upconvolved", "coarse"] = "upconvolved",
        align_corners: bool = False,
        neutral: bool = False,
    ) -> None:
        super().__init__()
        kind = CommonGate if variant == "common" else OktayGate
        self.gate = kind(channels, gate_channels, align_corners, neutral)

    def forward(self, x: Tensor, gate: Tensor) -> Tensor:
        gated: Tensor = self.gate(x, gate)
        return gated


class CommonGate(nn.Module):
    """Attention gate as in most Attention U-Nets (LeeJunHyun/Image_Segmentation, MONAI).

        y = x * sigmoid(BN(psi(relu(BN(up(W_g g)) + BN(W_x x)))))

    The weights are computed at the resolution of x. If W_g g has another size, bilinear interpolation brings it to
    that of x. Each 1x1 convolution has a bias. W_g is applied before the interpolation, where it costs a quarter.
    The result is the same, because the weights of an interpolation add up to 1.

    Args:
        channels: C of the input; the hidden width is max(1, C // 2).
        gate_channels: Cg of the gating signal.
        align_corners: as in torch, for the interpolation.
        neutral: twice the sigmoid, whose argument is 0 at step 0.
    Shape: (N, C, H, W), (N, Cg, h, w) -> (N, C, H, W).
    """

    def __init__(
        self, channels: int, gate_channels: int, align_corners: bool = False, neutral: bool = False
    ) -> None:
        super().__init__()
        hidden = max(1, channels // 2)
        self.align_corners = align_corners
        self.from_gate = nn.Sequential(nn.Conv2d(gate_channels, hidden, 1), nn.BatchNorm2d(hidden))
        self.from_input = nn.Sequential(nn.Conv2d(channels, hidden, 1), nn.BatchNorm2d(hidden))
        self.psi = nn.Sequential(nn.Conv2d(hidden, 1, 1), from_zero(nn.BatchNorm2d(1), neutral))
        self.gain = 2.0 if neutral else 1.0

    def forward(self, x: Tensor, gate: Tensor) -> Tensor:
        check_batch_statistics(KIND.name, x, self.training)
        convolve, normalise = self.from_gate
        asked = normalise(_resized(convolve(gate), x, self.align_corners))
        weights: Tensor = self.psi(functional.relu(asked + self.from_input(x))).sigmoid()
        return x * scaled(weights, self.gain)


class OktayGate(nn.Module):
    """Attention gate of the authors' code (ozan-oktay/Attention-Gated-Networks, mode ``concatenation``, in 2-D).

        y = BN(W(x * up(sigmoid(psi(relu(theta(x) + resize(phi(g))))))))

    theta is a 2x2 convolution of stride 2 without bias, so the weights are computed at half resolution. phi, psi
    and W are 1x1 convolutions with bias. W is part of the gate, so the output is not a rescaled x.

    Args:
        channels: C of the input; the hidden width is max(1, C // 2).
        gate_channels: Cg of the gating signal.
        align_corners: as in torch, for each interpolation.
        neutral: twice the sigmoid, whose argument is 0 at step 0.
    Shape: (N, C, H, W), (N, Cg, h, w) -> (N, C, H, W); H and W must be at least 2.
    """

    def __init__(
        self, channels: int, gate_channels: int, align_corners: bool = False, neutral: bool = False
    ) -> None:
        super().__init__()
        hidden = max(1, channels // 2)
        self.align_corners = align_corners
        self.theta = nn.Conv2d(channels, hidden, 2, stride=2, bias=False)
        self.phi = nn.Conv2d(gate_channels, hidden, 1)
        self.psi = from_zero(nn.Conv2d(hidden, 1, 1), neutral)
        self.gain = 2.0 if neutral else 1.0
        self.project = nn.Sequential(nn.Conv2d(channels, channels, 1), nn.BatchNorm2d(channels))

    def forward(self, x: Tensor, gate: Tensor) -> Tensor:
        height, width = x.shape[2:]
        if min(height, width) < 2:
            raise AttentionError(
                f"gate(variant=oktay) halves its map and cannot stand on one of {height}x{width}; "
                "both sides must be at least 2, or use variant=common"
            )
        halved = self.theta(x)
        asked = _resized(self.phi(gate), halved, self.align_corners)
        weights = self.psi(functional.relu(halved + asked)).sigmoid()
        gated: Tensor = self.project(x * _resized(scaled(weights, self.gain), x, self.align_corners))
        return gated


def _resized(x: Tensor, like: Tensor, align_corners: bool) -> Tensor:
    """x at the height and width of another map, by bilinear interpolation."""
    if x.shape[2:] == like.shape[2:]:
        return x
    return functional.interpolate(x, size=like.shape[2:], mode="bilinear", align_corners=align_corners)
