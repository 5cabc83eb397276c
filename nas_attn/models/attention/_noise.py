"""Random numbers that depend on a module's name, the seed and the step, and on nothing else."""

from __future__ import annotations

import torch
from torch import Tensor, nn

GOLDEN = -7046029254386353131
"""2^64 over the golden ratio, as a signed number of 64 bits."""


class StepNoise(nn.Module):
    """A counter-based generator (SplitMix64, Steele et al. 2014, OOPSLA, p. 453) made of operations on tensors.

    It has no state but the key and the step that it is told, so that a CUDA graph draws anew in every step, and
    the numbers are the same on every device. Until it is told, all steps draw the same.
    """

    key: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("key", torch.zeros(2, dtype=torch.long), persistent=False)

    def begin_step(self, step: Tensor, steps: int, key: int) -> None:
        """Set what the numbers of this step depend on."""
        self.key[:1].fill_(key)
        self.key[1:].copy_(step)

    def uniform(self, like: Tensor) -> Tensor:
        """Numbers between 0 and 1, neither of which occurs, in float32.

        Args:
            like: gives the shape.
        """
        counter = torch.arange(like.numel(), device=like.device)
        stream = _mixed(_mixed(self.key[0]) + GOLDEN * (self.key[1] + 1))
        bits = _shifted(_mixed(stream + GOLDEN * (counter + 1)), 40)
        return ((bits + 0.5) / 2**24).float().view(like.shape)


def _mixed(z: Tensor) -> Tensor:
    """64 bits scrambled; products wrap around."""
    z = (z ^ _shifted(z, 30)) * -4658895280553007687
    z = (z ^ _shifted(z, 27)) * -7723592293110705685
    return z ^ _shifted(z, 31)


def _shifted(z: Tensor, places: int) -> Tensor:
    """Bits moved to the right, zeros from the left."""
    return (z >> places) & ((1 << (64 - places)) - 1)
