"""Class frequencies: the first prediction of an untrained network, and the class weights of a loss."""

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
"""Lowest starting frequency of a class: the bias is its logarithm, and a very low one takes long to rise."""
_AT_ONCE = 2**24
_SOFTENED = 1.02


def label_counts(masks: Iterable[Tensor]) -> Tensor:
    """Number of pixels with each label, 255 included: (256,), int64, on the CPU.

    Args:
        masks: of any shape, uint8.
    """
    counts = torch.zeros(_LABELS, dtype=torch.long)
    for mask in masks:
        for part in torch.split(mask.flatten(), _AT_ONCE):
            counts += torch.bincount(part, minlength=_LABELS).cpu()
    return counts


def overlap_counts(masks: Iterable[Tensor]) -> Tensor:
    """Number of pixels of each class that may overlap, and at 255 the ignored ones: (256,), int64, on the CPU.

    Args:
        masks: sets of classes, encoded as in ``overlap``, of any shape.
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
    """The counts of ``label_counts``, and None.

    If classes may overlap: the counts of ``overlap_counts``, and the number of pixels that are not ignored.

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
    """Make the class frequencies a network's first prediction: their logarithms become the bias of its head.

    For classes that may overlap, the bias is the logarithm of p / (1 - p), whose sigmoid is p.

    With equal starts, a class with a tenth of the pixels is first unlearned, and at a low learning rate a run may
    end before it is learned again (as in Lin et al. 2017, arXiv:1708.02002, section 3.3).

    Args:
        module: with a 1x1 convolution ``head`` that has a bias; every other network is left as it is.
        counts: from ``label_counts`` or ``overlap_counts`` on the training set.
        labelled: number of pixels that are not ignored, if classes may overlap; else None.
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
    """The class weights that ``--class-weights`` means for a data set; empty if all classes count alike.

    Args:
        asked: ``none``, ``auto``, or numbers with commas between them.
        dataset: its training masks are counted for ``auto``.
    Raises:
        UsageError: the number of weights differs from the number of classes.
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
    """Weights by class frequency: 1 / ln(1.02 + p), divided by their mean, with p the share of labelled pixels.

    The formula is that of ENet (Paszke et al. 2016, arXiv:1606.02147, section 5.2). Unlike 1 / p it is bounded:
    the rarest class counts at most 36 times as much as one with all pixels, so a handful of pixels does not
    dominate. Four digits are kept, so that a study can be repeated with the printed weights.

    Args:
        counts: from ``label_counts`` or ``overlap_counts`` on the training masks.
        classes: K.
        labelled: number of pixels that are not ignored, if classes may overlap; else None.
    """
    known = counts[:classes].tolist()
    whole = max(1, sum(known) if labelled is None else labelled)
    raw = [1 / math.log(_SOFTENED + number / whole) for number in known]
    mean = sum(raw) / classes
    return tuple(float(f"{weight / mean:.4g}") for weight in raw)
