"""How much training one evaluation gets, and ladders of such budgets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Annotated, Literal

from annotated_types import Ge, Gt, Le

from nas_attn.document import field_problems
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

    steps: Annotated[int, Ge(1)]
    image_size: Annotated[int, Ge(1)]
    batch_size: Annotated[int, Ge(1)]
    train_fraction: Annotated[float, Gt(0), Le(1)] = 1.0
    pretraining: Annotated[int, Ge(0)] = 0

    def __post_init__(self) -> None:
        if found := field_problems(Budget, vars(self)):
            raise UsageError([f"{name}: {problem}" for name, problem in found])

    def to_dict(self) -> dict[str, int | float]:
        """Plain values, for JSON and YAML; ``pretraining`` only where there is some."""
        values = asdict(self)
        return values if self.pretraining else {name: values[name] for name in values if name != "pretraining"}

    @property
    def of_pretraining(self) -> Budget | None:
        """The budget of the plain U-Net's run from which this one starts; None where it starts from scratch."""
        return replace(self, steps=self.pretraining, pretraining=0) if self.pretraining else None

    @property
    def doubled(self) -> Budget:
        """The same with twice the steps."""
        return replace(self, steps=2 * self.steps)

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
        start = f" from the baseline's after {self.pretraining}" if self.pretraining else ""
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
