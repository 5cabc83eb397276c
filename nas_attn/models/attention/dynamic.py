"""Dynamic convolution."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from nas_attn.models.attention._kernel_bank import KernelBank
from nas_attn.models.attention._perceptron import hidden_width
from nas_attn.models.attention._registry import attention
from nas_attn.models.attention._steady import SteadyLinear
from nas_attn.models.kind import BLOCK_STAGES, MIN_HIDDEN, AttentionKind, Family, Option

ANNEALED = 0.1
"""Share of the training steps after which the temperature is 1."""

KIND = AttentionKind(
    name="dynamic",
    title="dynamic convolution",
    paper="Chen et al. 2020, arXiv:1912.03458",
    family=Family.CONVOLUTION,
    stages=BLOCK_STAGES,
    options=(
        Option("kernels", 4, "K, kernels that an image mixes", minimum=1),
        Option("reduction", 4, "channels over hidden channels", minimum=1),
        Option("temperature", 30.0, "temperature of the softmax at step 0; it falls to 1", minimum=1),
        MIN_HIDDEN,
    ),
    neutral_start=True,
    neutral_version=2,
)


@attention(KIND)
class DynamicConvolution(nn.Module):
    """3x3 convolution with an average of K kernels and biases, whose weights depend on the image (Chen et al.
    2020, arXiv:1912.03458, section 3).

        y = (sum_k pi_k W_k) * x + sum_k pi_k b_k,  pi = softmax(V relu(U mean_HW(x)) / T)

    T falls linearly from 30 to 1, so that all kernels learn at first. In the paper this takes ten epochs of 100
    and more; here it takes a tenth of the steps. Training code sets T by calling ``begin_step`` in each step. T is
    part of the module's state but not a parameter. U and V have no bias.

    Args:
        channels: C of the input.
        kernels: K.
        reduction: bottleneck ratio of the perceptron; its hidden width is max(min_hidden, C // reduction).
        temperature: T at step 0.
        min_hidden: least hidden width; 1 gives the paper's width on a narrow map.
        neutral: all hidden units are active (see ``SteadyLinear``); T alone makes the first mixtures even.
    Shape: (N, C, H, W) -> (N, C, H, W).
    Raises:
        AttentionError: ``channels`` is below 1 or an option is not allowed.
    """

    temperature: Tensor

    def __init__(
        self,
        channels: int,
        kernels: int = 4,
        reduction: int = 4,
        temperature: float = 30.0,
        min_hidden: int = 8,
        neutral: bool = False,
    ) -> None:
        super().__init__()
        hidden = hidden_width(channels, reduction, min_hidden)
        self.bias = nn.Parameter(torch.empty(kernels, channels))
        self.register_buffer("temperature", torch.empty(()))
        self.first_temperature = temperature
        self.reset_parameters()
        self.squeeze = (SteadyLinear if neutral else nn.Linear)(channels, hidden, bias=False)
        self.excite = nn.Linear(hidden, kernels, bias=False)
        self.bank = KernelBank(channels, kernels)

    def reset_parameters(self) -> None:
        """Draw the biases like those of a 3x3 convolution, and set T to its value at step 0."""
        bound = (9 * self.bias.shape[1]) ** -0.5
        nn.init.uniform_(self.bias, -bound, bound)
        nn.init.constant_(self.temperature, self.first_temperature)

    def begin_step(self, step: Tensor, steps: int, key: int) -> None:
        """Set T for one step of a training of ``steps`` steps."""
        fallen = (step / max(1.0, ANNEALED * steps)).clamp(max=1).squeeze()
        self.temperature.copy_(self.first_temperature + (1 - self.first_temperature) * fallen)

    def forward(self, x: Tensor) -> Tensor:
        asked = self.excite(functional.relu(self.squeeze(x.mean((2, 3)))))
        mix = (asked / self.temperature).softmax(1).to(x.dtype)
        convolved: Tensor = self.bank(x, mix, mix @ self.bias.to(mix.dtype))
        return convolved
