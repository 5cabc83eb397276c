"""How much each class counts in the loss: as it was asked for, or by how rare it is."""

from __future__ import annotations

import math

from torch import Tensor

from nas_attn.config.settings import AUTO, NONE
from nas_attn.data import Dataset
from nas_attn.errors import UsageError
from nas_attn.losses import weight_problem
from nas_attn.training.class_prior import class_counts

_SOFTENED = 1.02


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
