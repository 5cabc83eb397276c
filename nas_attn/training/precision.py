"""Number format and memory layout of a run."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from nas_attn.errors import TrainingError, did_you_mean


@dataclass(frozen=True)
class Precision:
    """How a run computes; the weights stay in float32.

    Args:
        bfloat16: autocast convolutions and matrix products.
        channels_last: NHWC memory layout.
    """

    bfloat16: bool = False
    channels_last: bool = False

    def autocast(self, device: torch.device) -> AbstractContextManager[object]:
        """The context in which the network is called."""
        return torch.autocast(device.type, torch.bfloat16) if self.bfloat16 else nullcontext()

    def arrange(self, inputs: Tensor) -> Tensor:
        """Inputs (N, C, H, W) in the memory layout of the run."""
        return inputs.contiguous(
            memory_format=torch.channels_last if self.channels_last else torch.contiguous_format
        )

    def place(self, module: nn.Module, device: torch.device) -> nn.Module:
        """The module on its device, in the memory layout of the run."""
        layout = torch.channels_last if self.channels_last else torch.contiguous_format
        return module.to(device).to(memory_format=layout)

    @classmethod
    def parse(cls, text: str) -> Precision:
        """The inverse of ``str``: ``float32``, ``bfloat16+channels_last``.

        Raises:
            TrainingError: the text names no precision.
        """
        for precision in PRECISIONS:
            if text == str(precision):
                return precision
        raise TrainingError(f"unknown precision '{text}'; {did_you_mean(text, map(str, PRECISIONS))}")

    def __str__(self) -> str:
        return ("bfloat16" if self.bfloat16 else "float32") + ("+channels_last" if self.channels_last else "")


PRECISIONS = tuple(Precision(bfloat16, last) for bfloat16 in (False, True) for last in (True, False))
"""All precisions; if two are equally fast, prefer the earlier one."""
