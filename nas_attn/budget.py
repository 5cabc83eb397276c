"""The budget of an evaluation, and ladders of budgets for successive halving."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Annotated, Literal

from annotated_types import Ge, Gt, Le

from nas_attn.document import field_problems
from nas_attn.errors import UsageError

SCRATCH: Literal["scratch"] = "scratch"
PLAIN: Literal["plain"] = "plain"
"""Where the shorter runs of a ladder start: from initial weights, or from those of the trained baseline."""


@dataclass(frozen=True, order=True)
class Budget:
    """The budget of one complete run with an annealed learning rate; ordered by steps, then by the sizes.

    Args:
        steps: optimiser steps.
        image_size: side of the square training crop, in pixels.
        batch_size: N of one step.
        train_fraction: share of the training images that are used, above 0 and at most 1.
        pretraining: steps of the baseline's run whose weights this run starts from, in addition to its own steps;
            0 starts from scratch.
    Raises:
        UsageError: a value is out of range; all such values are reported together.
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
        """Plain values, for JSON and YAML; ``pretraining`` only if it is not 0."""
        values = asdict(self)
        return values if self.pretraining else {name: values[name] for name in values if name != "pretraining"}

    @property
    def of_pretraining(self) -> Budget | None:
        """The budget of the baseline's run from which this one starts; None if it starts from scratch."""
        return replace(self, steps=self.pretraining, pretraining=0) if self.pretraining else None

    @property
    def doubled(self) -> Budget:
        """The same budget with twice the steps."""
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
        """The number of steps and the starting point, in words."""
        start = f" from the baseline's after {self.pretraining}" if self.pretraining else ""
        return f"{self.steps} steps{start}"


def rungs(ladder: Sequence[int] | Literal["auto"], top: Budget, *, pretrained: bool = False) -> tuple[Budget, ...]:
    """The budgets of a ladder, the shortest first.

    Args:
        ladder: steps of the budgets below the top; ``auto`` takes a ninth and a third of the top's steps.
        top: the last budget.
        pretrained: whether the budgets below the top start from the weights of the baseline trained at the top.
    """
    below = (top.steps // 9, top.steps // 3) if ladder == "auto" else ladder
    lower = replace(top, pretraining=top.steps if pretrained else 0)
    return (*(replace(lower, steps=steps) for steps in below if 0 < steps < top.steps), top)
