"""The identity start, which every kind has in common."""

from __future__ import annotations

import torch
from torch import Tensor, nn

PACE = 10.0


class IdentityStart(nn.Module):
    """Fade a module in from the identity: y = x + alpha * (A(x) - x), and alpha is 0 at step 0.

    A gate that starts at a quarter of x slows the first steps of a network down, and a short run then measures
    that handicap. Started as an exact identity, the module costs nothing at first; alpha = 1 is the module as
    its paper has it. Alpha costs one parameter and is stored as alpha / PACE (an equalised learning rate,
    Karras et al. 2018, arXiv:1710.10196, section 4.1): an optimiser with normalised steps, such as Adam, moves
    alpha PACE times as fast as any other weight, since A learns nothing while alpha is 0.

    Args:
        module: A, which takes (x) or (x, gate) and keeps the shape of x.
    Shape: (N, C, H, W)[, (N, Cg, h, w)] -> (N, C, H, W).
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

    def forward(self, x: Tensor, gate: Tensor | None = None) -> Tensor:
        attended: Tensor = self.module(x) if gate is None else self.module(x, gate)
        return torch.lerp(x, attended.to(x.dtype), self.alpha.to(x.dtype))
