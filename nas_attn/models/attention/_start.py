"""The identity start, which every kind can take."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

PACE = 10.0


class Fade(nn.Module):
    """Fade from one map to another: y = plain + alpha * (attended - plain). Alpha is 0 at step 0.

    Alpha costs one parameter, which is stored as alpha / PACE (an equalised learning rate, Karras et al. 2018,
    arXiv:1710.10196, section 4.1). So an optimiser with normalised steps, such as Adam, moves alpha PACE times as
    fast as any other weight. The reason: the module learns nothing while alpha is 0.

    Args:
        module: computes ``attended``.
    """

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module
        self.paced_alpha = nn.Parameter(torch.empty(()))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Set alpha to 0."""
        nn.init.zeros_(self.paced_alpha)

    @property
    def alpha(self) -> Tensor:
        """Share of the module in the output, a scalar."""
        return PACE * self.paced_alpha

    def faded(self, plain: Tensor, attended: Tensor) -> Tensor:
        """Mixture of both maps, in the precision of ``plain``."""
        return torch.lerp(plain, attended.to(plain.dtype), self.alpha.to(plain.dtype))


class IdentityStart(Fade):
    """Fade a module in from the identity: y = x + alpha * (A(x) - x).

    A gate that starts at a quarter of x slows the first steps of a network, and a short run then measures that
    handicap. A module that starts as an exact identity has no such handicap. With alpha = 1 it is the module of
    its paper.

    Args:
        module: A, which is called with (x) or (x, gate) and keeps the shape of x.
    Shape: (N, C, H, W)[, (N, Cg, h, w)] -> (N, C, H, W).
    """

    def forward(self, x: Tensor, gate: Tensor | None = None) -> Tensor:
        return self.faded(x, self.module(x) if gate is None else self.module(x, gate))


class ConvolutionStart(Fade):
    """Fade a module in from the convolution that it replaces: y = W * x + alpha * (A(x) - W * x).

    The network starts as the baseline, with the same W. W stays in the network, and so does its cost.

    Args:
        module: A, which is called with (x) and keeps its shape.
    Shape: (N, C, H, W) and a function of it -> (N, C, H, W).
    """

    def forward(self, x: Tensor, convolution: Callable[[Tensor], Tensor]) -> Tensor:
        return self.faded(convolution(x), self.module(x))


class BlockStart(Fade):
    """Fade a module in from the block that it wraps: y = B(x) + alpha * (A(x, B) - B(x)).

    If A passes x itself to the block, the block runs only once.

    Args:
        module: A, which is called with (x, block) and returns a map of the shape of the block's output.
    Shape: (N, Cb, H, W) and a function of it -> (N, C, H, W).
    """

    def forward(self, x: Tensor, block: Callable[[Tensor], Tensor]) -> Tensor:
        plain = block(x)
        return self.faded(plain, self.module(x, lambda entering: plain if entering is x else block(entering)))
