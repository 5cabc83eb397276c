"""Numbers for people: IoU points, intervals, counts, ranges, amounts."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nas_attn.analysis.result import Interval

_PREFIXES = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))


def points(delta: float) -> str:
    """A difference in IoU points, with its sign: ``+0.9``."""
    return "0.0" if abs(100 * delta) < 0.05 else f"{100 * delta:+.1f}"


def size(gain: float) -> str:
    """A gain in IoU points without its sign, and not rounded to 0 if it is above: ``0.9``."""
    return f"{100 * gain:.1f}" if gain >= 0.0005 else f"{100 * gain:.2g}"


def bounds(interval: Interval | None) -> str:
    """A confidence interval in IoU points: ``0.4 to 1.4``, or ``not known``."""
    return "not known" if interval is None else f"{_bound(interval.low)} to {_bound(interval.high)}"


def ranges(numbers: Iterable[int]) -> str:
    """Ascending whole numbers, neighbours joined: ``1,3-5``."""
    runs = groupby(enumerate(numbers), key=lambda pair: pair[1] - pair[0])
    joined = [[number for _, number in run] for _, run in runs]
    return ",".join(str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in joined)


def counted(number: int, noun: str) -> str:
    """``1 seed``, ``2 seeds``."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def duration(seconds: float) -> str:
    """A time in words: ``40 s``, ``14 min``, ``2 h 5 min``."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"


def amount(value: float) -> str:
    """A number in three digits: ``1.23G``, ``45.6M``, ``789``."""
    if value < 0:
        return f"-{amount(-value)}"
    for factor, prefix in _PREFIXES:
        if value >= factor * 0.9995:
            return f"{value / factor:.3g}{prefix}"
    return f"{value:.3g}"


def power_of_ten(number: int) -> str:
    """A large count in two digits: ``2.9 x 10^10``."""
    digits = len(str(number)) - 1
    return f"{number / 10**digits:.1f} x 10^{digits}"


def _bound(value: float) -> str:
    """A bound with a second digit if the first would hide on which side of 0 it lies."""
    return f"{100 * value:.{2 if 0 < abs(100 * value) < 0.05 else 1}f}"
