"""Strip pooling."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from nas_attn.models.attention._neutral import from_zero, scaled
from nas_attn.models.attention._pooled_norm import PooledNorm
from nas_attn.models.attention._registry import attention
from nas_attn.models.kind import AttentionKind

KIND = AttentionKind(
    name="strip",
    title="strip pooling module (SPNet)",
    paper="Hou et al. 2020, arXiv:2003.13328",
    neutral_start=True,
)


@attention(KIND)
class StripPooling(nn.Module):
    """Reweight each position by its whole row and its whole column (Hou et al. 2020, arXiv:2003.13328, section 3).

        y = x * sigmoid(F(relu(BN(conv_3x1(mean_W(x))) + BN(conv_1x3(mean_H(x))))))

    The strips are expanded to the size of the map before they are added. F is a 1x1 convolution. All three
    convolutions keep the number of channels; only F has a bias, as in the authors' code. Normalisation and relu
    are in that code but not in the equations. The running statistics normalise a strip of one value (see
    ``PooledNorm``). SPNet's mixed pooling module, which sometimes has the same name, is another one.

    Args:
        channels: C of the input.
        neutral: twice the sigmoid, whose argument is 0 at step 0, because F starts at zero.
    Shape: (N, C, H, W) -> (N, C, H, W).
    Raises:
        AttentionError: ``channels`` is below 1.
    """

    def __init__(self, channels: int, neutral: bool = False) -> None:
        super().__init__()
        self.rows = _strip(channels, (3, 1))
        self.columns = _strip(channels, (1, 3))
        self.mix = from_zero(nn.Conv2d(channels, channels, 1), neutral)
        self.gain = 2.0 if neutral else 1.0

    def forward(self, x: Tensor) -> Tensor:
        strips = self.rows(x.mean(3, keepdim=True)) + self.columns(x.mean(2, keepdim=True))
        weights: Tensor = self.mix(functional.relu(strips)).sigmoid()
        return x * scaled(weights, self.gain)


def _strip(channels: int, kernel: tuple[int, int]) -> nn.Sequential:
    padding = (kernel[0] // 2, kernel[1] // 2)
    return nn.Sequential(nn.Conv2d(channels, channels, kernel, padding=padding, bias=False), PooledNorm(channels))
