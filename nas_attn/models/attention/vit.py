"""Transformer block."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from nas_attn.models.attention._attend import attend
from nas_attn.models.attention._neutral import from_zero
from nas_attn.models.attention._precise import precise
from nas_attn.models.attention._registry import attention
from nas_attn.models.kind import AttentionKind, Family, Option

HEAD_CHANNELS = 64
GRID_SIDE = 16

KIND = AttentionKind(
    name="vit",
    title="transformer block",
    paper="Dosovitskiy et al. 2021, arXiv:2010.11929",
    family=Family.CONTEXT,
    options=(
        Option(
            "heads",
            "auto",
            "at most so many, as many as divide the channels; auto: one for each 64 channels",
            choices=("auto", 1, 2, 4, 8, 16),
        ),
        Option("mlp_ratio", 4, "hidden channels of the perceptron over channels", minimum=1),
        Option(
            "position",
            "conv",
            "added to the input: conv, a 3x3 convolution of it; grid, a learned 16x16 map, resized; none",
            choices=("conv", "grid", "none"),
        ),
    ),
    quadratic=True,
    neutral_start=True,
)


@attention(KIND)
class TransformerBlock(nn.Module):
    """Encoder block of a transformer; its tokens are the positions of the map (Dosovitskiy et al. 2021,
    arXiv:2010.11929, eq. 2-3).

        z = x + MSA(LN(x)),  y = z + W2 gelu(W1 LN(z) + b1) + b2
        MSA(t)_i = W [sum_j softmax_j(q_i . k_j / sqrt(d)) v_j for each head] + b

    q, k and v are linear in t, with bias. The layer normalisations have an epsilon of 1e-6, as in the authors'
    code. There is no class token and no dropout. A position is one pixel of the map, not a patch.

    The paper adds learned positions once, before its first block, not in a block. Without them (and without the
    padded convolutions around it) a block does not know where a token is. ``position=grid`` adds such a map before
    this block, x + p: 16x16 learned vectors, resized to H x W by antialiased bicubic interpolation; the paper
    interpolates in two dimensions too if the number of tokens changes. ``position=conv`` adds a depthwise 3x3
    convolution of x with bias. Its padding shows where a token is, at every size of map (Chu et al. 2023,
    arXiv:2102.10882).

    Args:
        channels: C of the input.
        heads: a number, lowered to the next one that divides C, or ``auto``: C // 64, which gives each head 64
            channels, as in all of the paper's models but the largest.
        mlp_ratio: hidden channels of the perceptron over C.
        position: ``conv``, ``grid`` or ``none``.
        neutral: W, W2, the convolution of ``position`` and their biases start at 0.
    Shape: (N, C, H, W) -> (N, C, H, W); time grows with (H * W)^2, memory with H * W (see ``attend``).
    Raises:
        AttentionError: ``channels`` or ``mlp_ratio`` is below 1, or ``heads`` or ``position`` is not allowed.
    """

    def __init__(
        self,
        channels: int,
        heads: Literal["auto", 1, 2, 4, 8, 16] = "auto",
        mlp_ratio: int = 4,
        position: Literal["conv", "grid", "none"] = "conv",
        neutral: bool = False,
    ) -> None:
        super().__init__()
        self.heads = _heads(channels, max(1, channels // HEAD_CHANNELS) if heads == "auto" else heads)
        self.position = _position(position, channels, neutral)
        self.norm1 = nn.LayerNorm(channels, eps=1e-6)
        self.qkv = nn.Linear(channels, 3 * channels)
        self.project = from_zero(nn.Linear(channels, channels), neutral)
        self.norm2 = nn.LayerNorm(channels, eps=1e-6)
        self.expand = nn.Linear(channels, mlp_ratio * channels)
        self.contract = from_zero(nn.Linear(mlp_ratio * channels, channels), neutral)

    def forward(self, x: Tensor) -> Tensor:
        if self.position is not None:
            x = x + self.position(x)
        x = x + _map(self._attended(self.norm1(_tokens(x))), x)
        hidden = functional.gelu(self.expand(self.norm2(_tokens(x))))
        return x + _map(self.contract(hidden), x)

    def _attended(self, tokens: Tensor) -> Tensor:
        """(N, P, C) -> (N, P, C)."""
        queries, keys, values = self.qkv(tokens).transpose(1, 2).chunk(3, 1)
        scale = (values.shape[1] // self.heads) ** -0.5
        heard = attend(scale * queries, keys, values, self.heads)
        attended: Tensor = self.project(heard.transpose(1, 2))
        return attended


class PositionGrid(nn.Module):
    """Learned position vectors for maps of any size.

    Args:
        channels: C.
    Shape: (N, C, H, W) -> (1, C, H, W), in the precision of the input, of which only size and precision are used.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(1, channels, GRID_SIDE, GRID_SIDE))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw from a normal distribution with a standard deviation of 0.02, as the authors' code does."""
        nn.init.normal_(self.weight, std=0.02)

    def forward(self, like: Tensor) -> Tensor:
        resized = functional.interpolate(precise(self.weight), like.shape[2:], mode="bicubic", antialias=True)
        return resized.to(like.dtype)


def _position(position: str, channels: int, neutral: bool) -> nn.Module | None:
    if position == "conv":
        return from_zero(nn.Conv2d(channels, channels, 3, padding=1, groups=channels), neutral)
    return PositionGrid(channels) if position == "grid" else None


def _heads(channels: int, most: int) -> int:
    return max(heads for heads in range(1, most + 1) if channels % heads == 0)


def _tokens(x: Tensor) -> Tensor:
    return x.flatten(2).transpose(1, 2)


def _map(tokens: Tensor, like: Tensor) -> Tensor:
    return tokens.transpose(1, 2).reshape(like.shape)
