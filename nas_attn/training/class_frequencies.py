"""How often each class occurs: the first answer of an untrained network, and the weights of classes in a loss."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn

from nas_attn.config.settings import AUTO, NONE
from nas_attn.data import Dataset
from nas_attn.data.dataset import IGNORED
from nas_attn.data.overlapping import MOST_OVERLAPPING
from nas_attn.errors import UsageError
from nas_attn.losses import weight_problem
from nas_attn.training.overlap import has_class

_LABELS = 256
_RAREST = 1e-3
"""No class begins rarer than this: what it would have to climb from is the logarithm."""
_AT_ONCE = 2**24
_SOFTENED = 1.02


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


def overlap_counts(masks: Iterable[Tensor]) -> Tensor:
    """How many pixels have each class of those that may overlap, and at 255 how many are ignored, as above.

    Args:
        masks: of any shape, as of ``overlap``.
    """
    counts = torch.zeros(_LABELS, dtype=torch.long)
    for mask in masks:
        for part in torch.split(mask.flatten(), _AT_ONCE):
            codes, numbers = torch.unique(part, return_counts=True)
            for index in range(MOST_OVERLAPPING):
                counts[index] += numbers[has_class(codes, index)].sum().cpu()
            counts[IGNORED] += numbers[codes == IGNORED].sum().cpu()
    return counts


def class_counts(masks: Sequence[Tensor], multi_label: bool) -> tuple[Tensor, int | None]:
    """The pixels of each class as above, and, where classes may overlap, how many are not ignored.

    Args:
        masks: of any shape.
        multi_label: whether they are sets of classes.
    """
    if not multi_label:
        return label_counts(masks), None
    counts = overlap_counts(masks)
    return counts, sum(mask.numel() for mask in masks) - int(counts[IGNORED])


@torch.no_grad()
def start_at_frequencies(module: nn.Module, counts: Tensor, labelled: int | None = None) -> None:
    """Let a network's first answer be the frequencies of the classes: the logarithms are the bias of its head.

    Of classes that may overlap it is the logarithm of p / (1 - p), whose sigmoid is p.

    Otherwise all classes begin alike, and a class with a tenth of the pixels is first unlearned; at a low learning
    rate a run may end before it is learned again (as in Lin et al. 2017, arXiv:1708.02002, section 3.3).

    Args:
        module: with a 1x1 convolution ``head`` that has a bias; every other network is left as it is.
        counts: what ``label_counts`` gives of the training set, or ``overlap_counts``.
        labelled: pixels that are not ignored, where classes may overlap; else None.
    """
    head = getattr(module, "head", None)
    if not isinstance(head, nn.Conv2d) or head.bias is None:
        return
    known = counts[: head.out_channels].double()
    if labelled is not None:
        head.bias.copy_((known / max(1, labelled)).clamp(_RAREST, 1 - _RAREST).logit())
        return
    frequencies = (known / known.sum().clamp(min=1)).clamp(min=_RAREST)
    head.bias.copy_(frequencies.log())


def class_weights_of(asked: str, dataset: Dataset) -> tuple[float, ...]:
    """The weights that ``--class-weights`` means for a data set; empty where all classes count alike.

    Args:
        asked: ``none``, ``auto``, or numbers with commas between them.
        dataset: whose training masks are counted for ``auto``.
    Raises:
        UsageError: there are not as many numbers as classes.
    """
    if asked == NONE:
        return ()
    if asked == AUTO:
        train = dataset.train
        counts, labelled = class_counts(train.labels, train.multi_label)
        return balanced(counts, len(dataset.classes), labelled)
    weights = tuple(map(float, asked.split(",")))
    if problem := weight_problem(weights, dataset.classes):
        raise UsageError(f"--class-weights {asked}: {problem}")
    return weights


def balanced(counts: Tensor, classes: int, labelled: int | None = None) -> tuple[float, ...]:
    """Weights by frequency, 1 / ln(1.02 + p) with p the share of a class in the labelled pixels (ENet, Paszke et
    al. 2016, arXiv:1606.02147, section 5.2), divided by their mean.

    They are bounded, unlike 1 / p: the rarest class counts at most 36 times as much as one that has all pixels, so
    that a handful of pixels does not lead the training. To four digits, so that a study can be repeated by them.

    Args:
        counts: what ``label_counts`` gives of the training masks.
        classes: K.
        labelled: pixels that are not ignored, where classes may overlap; else None.
    """
    known = counts[:classes].tolist()
    whole = max(1, sum(known) if labelled is None else labelled)
    raw = [1 / math.log(_SOFTENED + number / whole) for number in known]
    mean = sum(raw) / classes
    return tuple(float(f"{weight / mean:.4g}") for weight in raw)
