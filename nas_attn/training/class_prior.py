"""The first answer of an untrained network: how often each class occurs."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

_LABELS = 256
_RAREST = 1e-3
"""No class begins rarer than this: what it would have to climb from is the logarithm."""
_AT_ONCE = 2**24


def label_counts(masks: Iterable[Tensor]) -> Tensor:
    """How many pixels have each label, 255 included: (256,), int64, on the CPU.

    Args:
        masks: of any shape, uint8.
    """
    counts = torch.zeros(_LABELS, dtype=torch.long)
    for mask in masks:
        for part in torch.split(mask.flatten(), _AT_ONCE):
            counts += torch.bincount(part, minlength=_LABELS).cpu()
    return counts


@torch.no_grad()
def start_at_frequencies(module: nn.Module, counts: Tensor) -> None:
    """Let a network's first answer be the frequencies of the classes: the logarithms are the bias of its head.

    Otherwise all classes begin alike, and a class with a tenth of the pixels is first unlearned; at a low learning
    rate a run may end before it is learned again (as in Lin et al. 2017, arXiv:1708.02002, section 3.3).

    Args:
        module: with a 1x1 convolution ``head`` that has a bias; every other network is left as it is.
        counts: what ``label_counts`` gives of the training set.
    """
    head = getattr(module, "head", None)
    if not isinstance(head, nn.Conv2d) or head.bias is None:
        return
    known = counts[: head.out_channels].double()
    frequencies = (known / known.sum().clamp(min=1)).clamp(min=_RAREST)
    head.bias.copy_(frequencies.log())
