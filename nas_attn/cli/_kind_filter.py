"""Filter the attention kinds for a list."""

from __future__ import annotations

import argparse
import re
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum
from typing import TypeVar

from nas_attn.errors import UsageError, did_you_mean
from nas_attn.models.kind import AttentionKind, Family
from nas_attn.models.placement import Stage

M = TypeVar("M", bound=Enum)


@dataclass(frozen=True)
class KindFilter:
    """The kinds to list; None does not filter.

    Args:
        family: of the kind.
        stage: at which it can be placed.
        max_macs: at the shallow site.
        max_parameters: likewise.
    """

    family: Family | None = None
    stage: Stage | None = None
    max_macs: int | None = None
    max_parameters: int | None = None

    @classmethod
    def of(cls, arguments: argparse.Namespace) -> KindFilter:
        """The filter that the arguments describe.

        Raises:
            UsageError: a family or stage is unknown, or a count cannot be read; all problems are reported
                together.
        """
        problems: list[str] = []
        chosen = cls(
            _member(Family, arguments.family, "--family", problems),
            _member(Stage, arguments.stage, "--stage", problems),
            _count(arguments.max_macs, "--max-macs", problems),
            _count(arguments.max_parameters, "--max-parameters", problems),
        )
        if problems:
            raise UsageError(problems)
        return chosen

    def takes(self, kind: AttentionKind) -> bool:
        """Whether a kind passes the filter, apart from its costs."""
        return self.family in (None, kind.family) and (self.stage is None or self.stage in kind.stages)

    def affords(self, parameters: int, macs: int) -> bool:
        """Whether these costs pass the filter."""
        return (self.max_macs is None or macs <= self.max_macs) and (
            self.max_parameters is None or parameters <= self.max_parameters
        )


def _member(members: type[M], text: str | None, option: str, problems: list[str]) -> M | None:
    if text is None:
        return None
    for member in members:
        if str(member) == text:
            return member
    problems.append(f"{option} {text}: no such {option.strip('-')}; {did_you_mean(text, map(str, members))}")
    return None


def _count(text: str | None, option: str, problems: list[str]) -> int | None:
    """A whole number, with or without the suffix k, M or G."""
    match = re.fullmatch(r"(\d{1,12}(?:\.\d{1,9})?)([kMG]?)", text or "", re.ASCII)
    if match is not None:
        return int(Decimal(match[1]) * {"": 1, "k": 10**3, "M": 10**6, "G": 10**9}[match[2]])
    if text is not None:
        problems.append(f"{option} {text}: no count; write 12000, 40k, 2.5M or 1G")
    return None
