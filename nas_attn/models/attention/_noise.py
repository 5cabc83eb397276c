"""Random numbers that depend only on a module's name, the seed and the step."""

from __future__ import annotations

import torch
from torch import Tensor, nn

GOLDEN = -7046029254386353131
"""2^64 divided by the golden ratio, as a signed 64-bit number."""


class StepNoise(nn.Module):
    """A counter-based generator (SplitMix64, Steele et al. 2014, OOPSLA, p. 453) made of tensor operations.

    Its only state is the key and the step, which ``begin_step`` sets. So a CUDA graph draws new numbers in every
    step, and the numbers are the same on every device. Without ``begin_step`` all steps draw the same numbers.
    """

    key: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("key", torch.zeros(2, dtype=torch.long), persistent=False)

    def begin_step(self, step: Tensor, steps: int, key: int) -> None:
        """Set the key and the step on which the numbers depend."""
        self.key[:1].fill_(key)
        self.key[1:].copy_(step)

    def uniform(self, like: Tensor) -> Tensor:
        """Numbers strictly between 0 and 1, in float32.

        Args:
            like: a tensor with the shape to draw.
        """
        counter = torch.arange(like.numel(), device=like.device)
        stream = _mixed(_mixed(self.key[0]) + GOLDEN * (self.key[1] + 1))
        bits = _shifted(_mixed(stream + GOLDEN * (counter + 1)), 40)
        return ((bits + 0.5) / 2**24).float().view(like.shape)


def _mixed(z: Tensor) -> Tensor:
    """Scramble 64 bits; products wrap around."""
    z = (z ^ _shifted(z, 30)) * -4658895280553007687
    z = (z ^ _shifted(z, 27)) * -7723592293110705685
    return z ^ _shifted(z, 31)


def _shifted(z: Tensor, places: int) -> Tensor:
    """Shift bits to the right; zeros enter from the left."""
    return (z >> places) & ((1 << (64 - places)) - 1)
