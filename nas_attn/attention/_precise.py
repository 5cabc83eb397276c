"""Where half precision would spoil a result."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor


def precise(x: Tensor) -> Tensor:
    """The same values in float32, or as they are where they are finer already."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


def without_autocast(device: str) -> AbstractContextManager[object]:
    """A context whose operations keep the precision of their inputs.

    Args:
        device: its type, such as ``cuda``.
    """
    available = torch.amp.is_autocast_available(device)
    return torch.autocast(device, enabled=False) if available else nullcontext()
