"""Hard attention."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from nas_attn.models.attention._forward_cache import ForwardCache
from nas_attn.models.attention._noise import StepNoise
from nas_attn.models.attention._precise import precise, precisely, without_autocast
from nas_attn.models.attention._registry import attention
from nas_attn.models.kind import AttentionKind, Family, Option

FIRST_BIAS = 3.0
"""First bias of the logits, which keeps 95 % of the positions at the start."""
MEMORY = 0.9
"""Share of the old baseline in the new one, at each step."""

KIND = AttentionKind(
    name="hard",
    title="hard attention",
    paper="Xu et al. 2015, arXiv:1502.03044",
    family=Family.STOCHASTIC,
    options=(
        Option(
            "estimator",
            "reinforce",
            "of the gradient; reinforce: from how well an image was segmented; gumbel: straight through",
            choices=("reinforce", "gumbel"),
        ),
        Option(
            "grid", 8, "cells of a side, each kept or dropped as a whole; 0: each position by itself", minimum=0
        ),
        Option("keep", 1.0, "share of the map that its own loss asks to keep", choices=(1.0, 0.75, 0.5, 0.25)),
        Option("temperature", 1.0, "of gumbel; the lower, the less biased and the noisier", minimum=0.1),
    ),
)


@attention(KIND)
class HardAttention(nn.Module):
    """Keep or drop each cell of the map, at random in training (Xu et al. 2015, arXiv:1502.03044, section 4.1).

        y = x * m,  m = 1 with probability sigmoid(e), e = w . mean_cell(x) + b;  in evaluation m = 1 where e > 0

    The paper looks at one place at a time. Here the output is a map, so each cell is drawn independently. m has no
    gradient, so e learns in one of two ways:

    ``reinforce``: e learns nothing from the segmentation loss, only from an auxiliary loss. This is the paper's,
    with its moving-average baseline r and its entropy H: -mean_n ((R_n - r) log p(m_n) + 0.01 H_n). R_n is how
    well image n was segmented, from 0 to 1. H_n is the mean entropy of its cells. The gradient is unbiased and has
    a high variance.

    ``gumbel``: m = [e + g > 0] with logistic noise g. The gradient of sigmoid((e + g) / T) is used as that of m
    (Bengio et al. 2013, arXiv:1308.3432; Jang et al. 2017, arXiv:1611.01144). This gradient is biased and has a
    low variance.

    ``keep`` below 1 is not part of the paper. It adds (mean of p - keep)^2 to the loss; without this term,
    dropping cells gains nothing. b starts at 3. The random numbers depend only on the seed and the step;
    evaluation draws none. In half precision the logits are still computed in float32. To train there, ``baseline``
    must stay float32 (``bfloat16`` drops steps of less than 1/256 of it): use autocast.

    Args:
        channels: C of the input.
        estimator: ``reinforce`` or ``gumbel``.
        grid: cells of a side, fewer on a smaller map; 0 makes each position a cell.
        keep: share of the map to keep; 1 adds no term to the loss.
        temperature: T.
    Shape: (N, C, H, W) -> (N, C, H, W).
    Raises:
        AttentionError: ``channels`` is below 1 or an option is not allowed.
    """

    baseline: Tensor

    def __init__(
        self,
        channels: int,
        estimator: Literal["reinforce", "gumbel"] = "reinforce",
        grid: int = 8,
        keep: float = 1.0,
        temperature: float = 1.0,
    ) -> None:
        super().__init__()
        self.by_reward = estimator == "reinforce"
        self.grid, self.keep, self.temperature = grid, keep, temperature
        self.bias = nn.Parameter(torch.empty(1))
        self.register_buffer("baseline", torch.empty(()))
        self.reset_parameters()
        self.logits = nn.Conv2d(channels, 1, 1, bias=False)
        self.noise = StepNoise()
        self.kept = ForwardCache()

    def reset_parameters(self) -> None:
        """Set the bias so that nearly all positions are kept, and the baseline to 0."""
        nn.init.constant_(self.bias, FIRST_BIAS)
        nn.init.zeros_(self.baseline)

    def forward(self, x: Tensor) -> Tensor:
        with without_autocast(x.device.type):
            logits = precisely(self.logits, self._cells(precise(x))) + precise(self.bias)
        mask = self._drawn(logits) if self.training else (logits > 0).to(logits.dtype)
        return x * functional.interpolate(mask, size=x.shape[2:]).to(x.dtype)

    def own_loss(self, masks: Tensor, scores: Tensor) -> Tensor:
        """The auxiliary loss that trains the logits, from the latest forward pass in training.

        Args:
            masks: not used.
            scores: how well each image was segmented; (N,).
        """
        kept = self.kept.take()
        loss = scores.new_zeros(())
        if not kept:
            return loss
        logits, mask = (tensor.flatten(1) for tensor in kept)
        if self.keep < 1:
            loss = loss + (logits.sigmoid().mean() - self.keep).square()
        if self.by_reward:
            chance = -functional.binary_cross_entropy_with_logits(logits, mask, reduction="none").sum(1)
            entropy = (functional.softplus(logits) - logits * logits.sigmoid()).mean(1)
            loss = loss - ((scores - self.baseline) * chance + 0.01 * entropy).mean()
            self.baseline.mul_(MEMORY).add_((1 - MEMORY) * scores.mean())
        return loss

    def _cells(self, x: Tensor) -> Tensor:
        if not self.grid:
            return x
        return functional.adaptive_avg_pool2d(x, (min(self.grid, x.shape[2]), min(self.grid, x.shape[3])))

    def _drawn(self, logits: Tensor) -> Tensor:
        """Random mask, which has a gradient with ``gumbel`` only."""
        uniform = self.noise.uniform(logits).to(logits.dtype)
        shaken = logits + (uniform / (1 - uniform)).log()
        mask = (shaken > 0).to(logits.dtype)
        self.kept.keep(logits, mask)
        if self.by_reward:
            return mask
        soft = (shaken / self.temperature).sigmoid()
        return mask + soft - soft.detach()
