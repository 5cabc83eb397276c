"""The identity start, which every kind has in common."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

PACE = 10.0


class Fade(nn.Module):
    """Fade from one map to another: y = plain + alpha * (attended - plain), and alpha is 0 at step 0.

    Alpha costs one parameter and is stored as alpha / PACE (an equalised learning rate, Karras et al. 2018,
    arXiv:1710.10196, section 4.1): an optimiser with normalised steps, such as Adam, moves alpha PACE times as
    fast as any other weight, since the module learns nothing while alpha is 0.

    Args:
        module: what ``attended`` comes from.
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
        """The share of the module in the output, a scalar."""
        return PACE * self.paced_alpha

    def faded(self, plain: Tensor, attended: Tensor) -> Tensor:
        """The mixture, in the precision of ``plain``."""
        return torch.lerp(plain, attended.to(plain.dtype), self.alpha.to(plain.dtype))


class IdentityStart(Fade):
    """Fade a module in from the identity: y = x + alpha * (A(x) - x).

    A gate that starts at a quarter of x slows the first steps of a network down, and a short run then measures
    that handicap. Started as an exact identity, the module costs nothing at first; alpha = 1 is the module as
    its paper has it.

    Args:
        module: A, which takes (x) or (x, gate) and keeps the shape of x.
    Shape: (N, C, H, W)[, (N, Cg, h, w)] -> (N, C, H, W).
    """

    def forward(self, x: Tensor, gate: Tensor | None = None) -> Tensor:
        return self.faded(x, self.module(x) if gate is None else self.module(x, gate))


class ConvolutionStart(Fade):
    """Fade a module in from the convolution that it stands in for: y = W * x + alpha * (A(x) - W * x).

    The network starts as the plain one, with the same W, which stays and is paid for.

    Args:
        module: A, which takes (x) and keeps its shape.
    Shape: (N, C, H, W) and a function of it -> (N, C, H, W).
    """

    def forward(self, x: Tensor, convolution: Callable[[Tensor], Tensor]) -> Tensor:
        return self.faded(convolution(x), self.module(x))


class BlockStart(Fade):
    """Fade a module in from the block that it goes around: y = B(x) + alpha * (A(x, B) - B(x)).

    Where A hands x itself to the block, the block runs once.

    Args:
        module: A, which takes (x, block) and returns what the block does, in shape.
    Shape: (N, Cb, H, W) and a function of it -> (N, C, H, W).
    """

    def forward(self, x: Tensor, block: Callable[[Tensor], Tensor]) -> Tensor:
        plain = block(x)
        return self.faded(plain, self.module(x, lambda entering: plain if entering is x else block(entering)))
