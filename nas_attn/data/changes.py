"""Which files of a data set are others than they were."""

from __future__ import annotations

from collections.abc import Mapping

from nas_attn.data.dataset import Dataset
from nas_attn.data.problem import printable

_SHOWN = 3


def file_digests(dataset: Dataset) -> dict[str, str]:
    """Of each image with its mask, by its split and name: ``train/a``."""
    return dict(dataset.digests)


def changes(before: Mapping[str, str], now: Mapping[str, str]) -> str:
    """Which images changed, were added or are gone, in words.

    Args:
        before: digests by name.
        now: likewise.
    """
    found = (
        ("changed", [name for name in now if name in before and now[name] != before[name]]),
        ("added", [name for name in now if name not in before]),
        ("gone", [name for name in before if name not in now]),
    )
    told = [f"{len(names)} {what}: {_listed(names)}" for what, names in found if names]
    return "; ".join(told) or "no image differs, but classes, their names or the shrinking do"


def _listed(names: list[str]) -> str:
    shown = ", ".join(map(printable, names[:_SHOWN]))
    return f"{shown} and {len(names) - _SHOWN} more" if len(names) > _SHOWN else shown
