"""The IoU of each class in a sentence."""

from __future__ import annotations

from collections.abc import Sequence

from nas_attn.analysis.per_class import ClassIous


def classes_sentence(classes: Sequence[str], found: ClassIous, plain: ClassIous, who: str) -> str:
    """``IoU x100 of each class, number 1 (baseline): nucleus 81.2 (80.9)``; empty where nothing is known.

    Args:
        classes: their names.
        found: the IoU of each.
        plain: likewise, of the baseline.
        who: has the former.
    """
    parts = [
        f"{name} {100 * one:.1f} ({100 * base:.1f})"
        for name, one, base in zip(classes, found, plain, strict=False)
        if one is not None and base is not None
    ]
    return f"IoU x100 of each class, {who} (baseline): {', '.join(parts)}." if parts else ""
