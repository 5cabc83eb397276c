"""Squeeze-and-excitation."""

from __future__ import annotations

from torch import Tensor, nn

from nas_attn.models.attention._check import check_arguments
from nas_attn.models.attention._perceptron import ChannelPerceptron
from nas_attn.models.attention._registry import attention
from nas_attn.models.kind import AttentionKind, Option

KIND = AttentionKind(
    name="se",
    title="squeeze-and-excitation",
    paper="Hu et al. 2018, arXiv:1709.01507",
    options=(
        Option("reduction", 16, "channels over hidden channels", minimum=1),
        Option("bias", True, "whether both linear layers add a bias, as in the authors' Caffe network"),
    ),
)


@attention(KIND)
class SqueezeExcite(nn.Module):
    """Reweight channels by their global average (Hu et al. 2018, arXiv:1709.01507, eq. 2-4).

        y = x * sigmoid(W2 relu(W1 mean_HW(x) + b1) + b2)

    The equations have no biases, the authors' Caffe network and most libraries do: ``bias`` chooses.

    Args:
        channels: C of the input.
        reduction: bottleneck ratio; the hidden width is max(1, C // reduction).
        bias: whether b1 and b2 exist.
    Shape: (N, C, H, W) -> (N, C, H, W).
    Raises:
        AttentionError: ``channels`` or ``reduction`` is below 1.
    """

    def __init__(self, channels: int, reduction: int = 16, bias: bool = True) -> None:
        super().__init__()
        check_arguments(KIND, {"channels": channels}, {"reduction": reduction, "bias": bias})
        self.perceptron = ChannelPerceptron(channels, reduction, bias)

    def forward(self, x: Tensor) -> Tensor:
        weights: Tensor = self.perceptron(x.mean((2, 3))).sigmoid()
        return x * weights[:, :, None, None]
