"""How much training one evaluation gets, and ladders of such budgets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Literal

from nas_attn.errors import UsageError

SCRATCH: Literal["scratch"] = "scratch"
PLAIN: Literal["plain"] = "plain"
"""Where the shorter runs of a ladder start: from initial weights, or from the trained plain U-Net's."""


@dataclass(frozen=True, order=True)
class Budget:
    """One complete, annealed run; ordered by steps, then by the sizes.

    Args:
        steps: optimiser steps.
        image_size: side of the square training crop, in pixels.
        batch_size: N of one step.
        train_fraction: share of the training images that are used, above 0 and at most 1.
        pretraining: steps of the plain U-Net's run from whose weights this one starts, besides its own; 0 starts
            from scratch.
    Raises:
        UsageError: a value is out of its range; all such are named together.
    """

    steps: int
    image_size: int
    batch_size: int
    train_fraction: float = 1.0
    pretraining: int = 0

    def __post_init__(self) -> None:
        found = [
            f"{name} is {value!r}; it must be a whole number of at least 1"
            for name, value in asdict(self).items()
            if name not in ("train_fraction", "pretraining") and (not isinstance(value, int) or value < 1)
        ]
        if not isinstance(self.pretraining, int) or self.pretraining < 0:
            found.append(f"pretraining is {self.pretraining!r}; it must be a whole number of at least 0")
        if not 0 < self.train_fraction <= 1:
            found.append(f"train_fraction is {self.train_fraction!r}; it must be above 0 and at most 1")
        if found:
            raise UsageError(found)

    def to_dict(self) -> dict[str, int | float]:
        """Plain values, for JSON and YAML; ``pretraining`` only where there is some."""
        values = asdict(self)
        return values if self.pretraining else {name: values[name] for name in values if name != "pretraining"}

    @property
    def of_pretraining(self) -> Budget | None:
        """The budget of the plain U-Net's run from which this one starts; None where it starts from scratch."""
        return replace(self, steps=self.pretraining, pretraining=0) if self.pretraining else None

    @classmethod
    def from_dict(cls, values: Mapping[str, int | float]) -> Budget:
        """The inverse of ``to_dict``."""
        return cls(
            steps=int(values["steps"]),
            image_size=int(values["image_size"]),
            batch_size=int(values["batch_size"]),
            train_fraction=float(values["train_fraction"]),
            pretraining=int(values.get("pretraining", 0)),
        )

    def __str__(self) -> str:
        share = "" if self.train_fraction == 1 else f", {self.train_fraction:.0%} of the training images"
        return f"{self.brief} of {self.batch_size} crops of {self.image_size} px{share}"

    @property
    def brief(self) -> str:
        """Its steps alone, and where they start."""
        start = f" from the plain U-Net's after {self.pretraining}" if self.pretraining else ""
        return f"{self.steps} steps{start}"


def rungs(ladder: Sequence[int] | Literal["auto"], top: Budget, *, pretrained: bool = False) -> tuple[Budget, ...]:
    """Budgets, the shortest first.

    Args:
        ladder: steps of those below the last; ``auto`` takes a ninth and a third of its steps.
        top: the last.
        pretrained: those below it start from the plain U-Net's weights after the last one's steps.
    """
    below = (top.steps // 9, top.steps // 3) if ladder == "auto" else ladder
    lower = replace(top, pretraining=top.steps if pretrained else 0)
    return (*(replace(lower, steps=steps) for steps in below if 0 < steps < top.steps), top)
