"""Ceilings of the cost of a placement, as numbers or as multiples of the baseline's."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Literal

from annotated_types import Ge

from nas_attn.document import Read, shown
from nas_attn.errors import SpaceError, UsageError
from nas_attn.record import Cost

DEFAULT_MAX_POSITIONS = 4096
WAYS_TO_WRITE = "1.5x (times the baseline), 2.1G, 350M, 40k or 12000"
HOW_TO_WRITE = f"write {WAYS_TO_WRITE}"
MOST = {"absolute": 10**15, "relative": 10**5}

_SUFFIXES = {"": 1, "k": 10**3, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
_RELATIVE = re.compile(r"(\d{1,6}(?:\.\d{1,18})?)x", re.ASCII)
_ABSOLUTE = re.compile(r"(\d{1,16}(?:\.\d{1,12})?) ?([kKMGT]?)", re.ASCII)


@dataclass(frozen=True)
class Ceiling:
    """The maximum of one cost.

    Args:
        kind: ``absolute``, or ``relative`` to the baseline of the same network.
        value: a whole number, or a factor; at least 1, so that the baseline itself is allowed.
    Raises:
        SpaceError: the value is out of range.
    """

    kind: Literal["absolute", "relative"]
    value: float

    def __post_init__(self) -> None:
        most = MOST[self.kind]
        if not 1 <= self.value <= most:
            unit = "x" if self.kind == "relative" else ""
            raise SpaceError(f"a ceiling of {self} is not from 1{unit} to {most}{unit}; {HOW_TO_WRITE}")

    @classmethod
    def parse(cls, written: object) -> Ceiling:
        """Read ``1.5x``, ``2.1G``, ``350M`` or ``12000``.

        Raises:
            SpaceError: it is none of these.
        """
        if isinstance(written, int) and not isinstance(written, bool):
            return cls("absolute", written)
        text = written.strip() if isinstance(written, str) else ""
        if factor := _RELATIVE.fullmatch(text):
            return cls("relative", float(factor[1]))
        if number := _ABSOLUTE.fullmatch(text):
            value = Decimal(number[1]) * _SUFFIXES[number[2]]
            if value == int(value):
                return cls("absolute", int(value))
        raise SpaceError(f"{shown(written)} is not a ceiling; {HOW_TO_WRITE}")

    def bound(self, plain: float | None) -> float:
        """The ceiling as a number.

        Args:
            plain: the baseline's cost; only needed for a relative ceiling.
        Raises:
            UsageError: the ceiling is relative and ``plain`` is None.
        """
        if self.kind == "absolute":
            return self.value
        if plain is None:
            raise UsageError(f"a ceiling of {self} cannot be judged without the baseline's cost; pass plain=")
        return self.value * plain

    def __str__(self) -> str:
        """The inverse of ``parse``."""
        return f"{Decimal(repr(self.value)).normalize():f}x" if self.kind == "relative" else str(self.value)


@dataclass(frozen=True)
class Limits:
    """The bounds of a space in addition to its choices.

    Args:
        max_positions: quadratic kinds are only allowed where H * W is at most this.
        max_macs: ceiling of the multiply-accumulate operations; None if there is none.
        max_parameters: ceiling of the number of parameters; None if there is none.
    """

    max_positions: Annotated[int, Ge(1)] = DEFAULT_MAX_POSITIONS
    max_macs: Annotated[Ceiling, Read(Ceiling.parse, WAYS_TO_WRITE)] | None = None
    max_parameters: Annotated[Ceiling, Read(Ceiling.parse, WAYS_TO_WRITE)] | None = None

    def reasons(self, cost: Cost, plain: Cost | None) -> list[str]:
        """One phrase for every ceiling that a cost exceeds, with the amount.

        Raises:
            UsageError: a ceiling is relative and ``plain`` is None.
        """
        found = []
        for name in ("macs", "parameters"):
            ceiling: Ceiling | None = getattr(self, f"max_{name}")
            if ceiling is None:
                continue
            value = getattr(cost, name)
            bound = ceiling.bound(getattr(plain, name) if plain else None)
            if value > bound:
                found.append(_excess(name, value, bound, ceiling))
        return found


def _excess(name: str, value: int, bound: float, ceiling: Ceiling) -> str:
    relative = f" ({ceiling} the baseline's)" if ceiling.kind == "relative" else ""
    return (
        f"{value:,} {name} are {value - bound:,.0f} ({value / bound - 1:.1%}) over max_{name} of "
        f"{bound:,.0f}{relative}, so take cheaper attention or fewer locations"
    )
