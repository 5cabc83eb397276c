"""Non-local block."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from nas_attn.models.attention._attend import attend
from nas_attn.models.attention._registry import attention, check_batch_statistics
from nas_attn.models.kind import AttentionKind, Family, Option

KIND = AttentionKind(
    name="nonlocal",
    title="non-local block",
    paper="Wang et al. 2018, arXiv:1711.07971",
    family=Family.CONTEXT,
    options=(
        Option("reduction", 2, "channels over the channels of queries, keys and values", minimum=1),
        Option(
            "pool",
            2,
            "side of the squares of positions whose maximum is one key and value; 1: none",
            choices=(1, 2),
        ),
        Option("scale", True, "whether dot products in a softmax are divided by sqrt(d), as in the authors' code"),
        Option(
            "pairing",
            "embedded",
            "how two positions are compared; embedded and gaussian: softmax, dot and concat: a mean",
            choices=("embedded", "gaussian", "dot", "concat"),
        ),
    ),
    quadratic=True,
    starts_as_identity=True,
)


@attention(KIND)
class NonLocalBlock(nn.Module):
    """Add to each position a weighted sum over all positions (Wang et al. 2018, arXiv:1711.07971, eq. 1-6).

        y_i = x_i + BN(W sum_j f_ij v(x'_j))
        embedded: f_ij = softmax_j(q_i . k_j / sqrt(d))     gaussian: f_ij = softmax_j(x_i . x'_j / sqrt(C))
        dot:      f_ij = q_i . k_j / P                      concat:   f_ij = relu(w . [q_i, k_j]) / P

    Here q_i = q(x_i), k_j = k(x'_j), and there are P positions j. The paper's models use ``embedded``. ``dot``
    never computes f (k v^T comes first, so time is linear in the positions). ``concat`` stores all of f.

    q, k, v and W are 1x1 convolutions with bias. x' is x after 2x2 max pooling, the subsampling of all models of
    the paper. x is pooled before k and v, as in the paper's equation and the authors' code; the paper's text pools
    after them. On a map of odd sides the last row or column is pooled by itself; the authors' code drops it. The
    paper has no sqrt(d), the authors' code has it (see ``scale``). The scale of the batch normalisation starts at
    0, so the paper's own start is an exact identity.

    Args:
        channels: C of the input.
        reduction: C over d, the channels of q, k and v; d is max(1, C // reduction).
        pool: side of the squares that are pooled, in pixels: 2, or 1 for none.
        scale: whether the dot products in a softmax are divided by sqrt(d), or by sqrt(C) if x itself is compared.
        pairing: ``embedded``, ``gaussian``, ``dot`` or ``concat``.
    Shape: (N, C, H, W) -> (N, C, H, W); N * H * W must be at least 2 in training. Time grows with (H * W)^2,
        memory with H * W (see ``attend``; ``dot`` and ``concat`` differ).
    Raises:
        AttentionError: ``channels`` or ``reduction`` is below 1, ``pool`` is neither 1 nor 2, or a batch in
            training is a single 1x1 map.
    """

    def __init__(
        self,
        channels: int,
        reduction: int = 2,
        pool: Literal[1, 2] = 2,
        scale: bool = True,
        pairing: Literal["embedded", "gaussian", "dot", "concat"] = "embedded",
    ) -> None:
        super().__init__()
        hidden = max(1, channels // reduction)
        embedded = pairing != "gaussian"
        self.query = nn.Conv2d(channels, hidden, 1) if embedded else nn.Identity()
        self.key = nn.Conv2d(channels, hidden, 1) if embedded else nn.Identity()
        self.value = nn.Conv2d(channels, hidden, 1)
        self.project = nn.Conv2d(hidden, channels, 1)
        self.norm = ZeroStartNorm(channels)
        if pairing == "concat":
            self.of_query = nn.Conv1d(hidden, 1, 1, bias=False)
            self.of_key = nn.Conv1d(hidden, 1, 1, bias=False)
        self.pool, self.pairing = pool, pairing
        self.factor = (hidden if embedded else channels) ** -0.5 if scale else 1.0

    def forward(self, x: Tensor) -> Tensor:
        check_batch_statistics(KIND.name, x, self.training)
        pooled = x if self.pool == 1 else functional.max_pool2d(x, self.pool, ceil_mode=True)
        queries, keys, values = (
            layer(given).flatten(2) for layer, given in ((self.query, x), (self.key, pooled), (self.value, pooled))
        )
        heard = self._heard(queries, keys, values)
        added: Tensor = self.norm(self.project(heard.view(x.shape[0], -1, *x.shape[2:])))
        return x + added

    def _heard(self, queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        """(N, d, Q), (N, d, P), (N, d, P) -> (N, d, Q)."""
        if self.pairing in ("embedded", "gaussian"):
            return attend(self.factor * queries, keys, values)
        share = values / values.shape[2]
        if self.pairing == "dot":
            return torch.matmul(torch.matmul(share, keys.transpose(1, 2)), queries)
        pairs = functional.relu(self.of_key(keys).transpose(1, 2) + self.of_query(queries))
        return torch.matmul(share, pairs)


class ZeroStartNorm(nn.Module):
    """Batch normalisation whose scale starts at 0, so that its residual branch adds nothing at first.

        y = BN(x) * weight + bias,  weight = bias = 0 at the start

    Args:
        channels: C.
    Shape: (N, C, H, W) -> (N, C, H, W); N * H * W must be at least 2 in training.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(channels, affine=False)
        self.weight = nn.Parameter(torch.empty(channels))
        self.bias = nn.Parameter(torch.empty(channels))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Set scale, shift and running statistics back to their start."""
        nn.init.zeros_(self.weight)
        nn.init.zeros_(self.bias)
        self.norm.reset_running_stats()

    def forward(self, x: Tensor) -> Tensor:
        scaled: Tensor = self.norm(x) * self.weight[:, None, None] + self.bias[:, None, None]
        return scaled.to(x.dtype)
