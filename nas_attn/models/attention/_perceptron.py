"""The two-layer perceptron over channels that SE, CBAM and scSE share."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional


class ChannelPerceptron(nn.Module):
    """Squeeze C channels through a few hidden ones and back: W2 relu(W1 z + b1) + b2.

    The hidden width is max(1, C // reduction), so that a narrow map works too; it is never rounded.

    Args:
        channels: C.
        reduction: C over the hidden width.
        bias: whether both layers add a bias.
    Shape: (..., C) -> (..., C).
    """

    def __init__(self, channels: int, reduction: int, bias: bool = True) -> None:
        super().__init__()
        hidden = max(1, channels // reduction)
        self.squeeze = nn.Linear(channels, hidden, bias=bias)
        self.excite = nn.Linear(hidden, channels, bias=bias)

    def forward(self, z: Tensor) -> Tensor:
        excited: Tensor = self.excite(functional.relu(self.squeeze(z)))
        return excited
