"""Which files of a data set are others than they were."""

from __future__ import annotations

from collections.abc import Mapping

from nas_attn.data.problem import first_few

_SHOWN = 3


def changes(before: Mapping[str, str], now: Mapping[str, str]) -> str:
    """Which images changed, were added or are gone, in words.

    Args:
        before: digest of each image with its mask, by its split and name: ``train/a``.
        now: likewise.
    """
    found = (
        ("changed", [name for name in now if name in before and now[name] != before[name]]),
        ("added", [name for name in now if name not in before]),
        ("gone", [name for name in before if name not in now]),
    )
    told = [f"{len(names)} {what}: {first_few(names, _SHOWN)}" for what, names in found if names]
    return "; ".join(told) or "no image differs, but classes, their names or the shrinking do"
