"""Attention gate."""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn
from torch.nn import functional

from nas_attn.errors import AttentionError
from nas_attn.models.attention._check import check_arguments, check_batch_statistics
from nas_attn.models.attention._neutral import from_zero, scaled
from nas_attn.models.attention._registry import attention
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
    ),
    needs_gate=True,
    neutral_start=True,
)


@attention(KIND)
class AttentionGate(nn.Module):
    """Let through the positions of x that the gating signal asks for (Oktay et al. 2018, arXiv:1804.03999,
    eq. 1-2).

        y = x * sigmoid(psi(relu(W_x x + W_g g)))          neutral: y = x * 2 sigmoid(...)

    Both variants add to this: ``common`` (see ``CommonGate``) normalises each of the three convolutions,
    ``oktay`` (see ``OktayGate``) finds the weights at half resolution and convolves what it has gated.

    Args:
        channels: C of the input.
        gate_channels: Cg of the gating signal, the decoder feature that enters the level.
        variant: ``common`` or ``oktay``.
        neutral: twice the sigmoid, of 0 at step 0; the W of ``oktay`` starts as ever.
    Shape: (N, C, H, W), (N, Cg, h, w) -> (N, C, H, W); h x w is about half of H x W, any size will do.
    Raises:
        AttentionError: ``channels`` or ``gate_channels`` is below 1, ``variant`` is neither of the two, the map
            is too small for ``oktay``, or a map of 1x1 is to be trained with a batch of one.
    """

    def __init__(
        self,
        channels: int,
        gate_channels: int,
        variant: Literal["common", "oktay"] = "common",
        neutral: bool = False,
    ) -> None:
        super().__init__()
        check_arguments(KIND, {"channels": channels, "gate_channels": gate_channels}, {"variant": variant})
        self.gate = (CommonGate if variant == "common" else OktayGate)(channels, gate_channels, neutral)

    def forward(self, x: Tensor, gate: Tensor) -> Tensor:
        gated: Tensor = self.gate(x, gate)
        return gated


class CommonGate(nn.Module):
    """The form that most Attention U-Nets have (LeeJunHyun/Image_Segmentation, MONAI).

        y = x * sigmoid(BN(psi(relu(BN(W_g up(g)) + BN(W_x x)))))

    The weights are found at the resolution of x, to which g is brought by bilinear interpolation; each 1x1
    convolution has a bias.

    Args:
        channels: C of the input; the hidden width is max(1, C // 2).
        gate_channels: Cg of the gating signal.
        neutral: twice the sigmoid, of 0 at step 0.
    Shape: (N, C, H, W), (N, Cg, h, w) -> (N, C, H, W).
    """

    def __init__(self, channels: int, gate_channels: int, neutral: bool = False) -> None:
        super().__init__()
        hidden = max(1, channels // 2)
        self.from_gate = nn.Sequential(nn.Conv2d(gate_channels, hidden, 1), nn.BatchNorm2d(hidden))
        self.from_input = nn.Sequential(nn.Conv2d(channels, hidden, 1), nn.BatchNorm2d(hidden))
        self.psi = nn.Sequential(nn.Conv2d(hidden, 1, 1), from_zero(nn.BatchNorm2d(1), neutral))
        self.gain = 2.0 if neutral else 1.0

    def forward(self, x: Tensor, gate: Tensor) -> Tensor:
        check_batch_statistics(KIND.name, x, self.training)
        asked = self.from_gate(_resized(gate, x))
        weights: Tensor = self.psi(functional.relu(asked + self.from_input(x))).sigmoid()
        return x * scaled(weights, self.gain)


class OktayGate(nn.Module):
    """The authors' own form (ozan-oktay/Attention-Gated-Networks, mode ``concatenation``, in 2-D).

        y = BN(W(x * up(sigmoid(psi(relu(theta(x) + resize(phi(g))))))))

    theta is a 2x2 convolution of stride 2 without bias, so that the weights are found at half resolution; phi,
    psi and W are 1x1 convolutions with bias. W is part of the gate: its output is not a rescaled x.

    Args:
        channels: C of the input; the hidden width is max(1, C // 2).
        gate_channels: Cg of the gating signal.
        neutral: twice the sigmoid, of 0 at step 0.
    Shape: (N, C, H, W), (N, Cg, h, w) -> (N, C, H, W); H and W of at least 2.
    """

    def __init__(self, channels: int, gate_channels: int, neutral: bool = False) -> None:
        super().__init__()
        hidden = max(1, channels // 2)
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
        weights = self.psi(functional.relu(halved + _resized(self.phi(gate), halved))).sigmoid()
        gated: Tensor = self.project(x * _resized(scaled(weights, self.gain), x))
        return gated


def _resized(x: Tensor, like: Tensor) -> Tensor:
    """x at the height and width of another map, by bilinear interpolation (corners not aligned)."""
    if x.shape[2:] == like.shape[2:]:
        return x
    return functional.interpolate(x, size=like.shape[2:], mode="bilinear", align_corners=False)
