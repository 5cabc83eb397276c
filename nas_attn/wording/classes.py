"""The IoU, or the Dice, of each class in a sentence."""

from __future__ import annotations

from collections.abc import Sequence

from nas_attn.analysis.per_class import ClassIous, as_compared
from nas_attn.metric import Metric


def classes_sentence(classes: Sequence[str], found: ClassIous, plain: ClassIous, who: str, metric: Metric) -> str:
    """``IoU of a class x100, number 1 (baseline): nucleus 81.2 (80.9).``; empty where nothing is known.

    Args:
        classes: their names.
        found: the IoU of each.
        plain: likewise, of the baseline.
        who: has the former.
        metric: by which the study compares.
    """
    parts = [
        f"{name} {100 * one:.1f} ({100 * base:.1f})"
        for name, one, base in zip(classes, as_compared(found, metric), as_compared(plain, metric), strict=False)
        if one is not None and base is not None
    ]
    return f"{metric.of_class} x100, {who} (baseline): {', '.join(parts)}." if parts else ""
