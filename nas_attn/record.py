"""What one evaluation found out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

from nas_attn.budget import Budget
from nas_attn.counts import ImageCounts
from nas_attn.models.placement import Placement


class State(StrEnum):
    """How far an evaluation has come."""

    RUNNING = "running"
    COMPLETE = "complete"
    FAILED = "failed"


class Role(StrEnum):
    """Why an evaluation was made."""

    REFERENCE = "control"
    """A reference architecture; databases keep the word that studies began with."""
    PROPOSAL = "proposal"
    FINALIST = "finalist"


@dataclass(frozen=True)
class Cost:
    """What a network costs.

    Args:
        parameters: number of trainable parameters.
        macs: multiply-accumulate operations of one image's forward pass.
        latency_ms: median time of one image's forward pass; None where it was not measured.
        peak_memory_mib: most memory that a training step held beyond what was held before it; None where
            it was not measured.
        device: on which the last two were measured; empty where they were not.
    """

    parameters: int
    macs: int
    latency_ms: float | None = None
    peak_memory_mib: float | None = None
    device: str = ""


@dataclass(frozen=True)
class Score:
    """How well a network segments the validation set.

    Args:
        iou: value of the metric by which the study compares; unless it says otherwise the mean of
            ``iou_per_class`` over the classes that the masks hold.
        iou_per_class: intersection over union of each class, background included, all pixels pooled; None for a
            class that the masks lack.
        loss: mean training loss over the whole validation set.
        counts: of pixels by image and class; None where they were not kept.
        metrics: value of every metric by its name; None where the masks hold no class that it judges.
    """

    iou: float
    iou_per_class: tuple[float | None, ...]
    loss: float
    counts: ImageCounts | None = None
    metrics: Mapping[str, float | None] = field(default_factory=dict)


@dataclass(frozen=True)
class CurvePoint:
    """The training loss, averaged since the point before.

    Args:
        step: number of optimiser steps taken.
        loss: mean training loss.
    """

    step: int
    loss: float


@dataclass(frozen=True)
class Outcome:
    """All that an evaluation measured; a pure function of placement, budget, seed, data and device kind,
    but for the times.

    Args:
        score: on the validation set.
        cost: of the network.
        curve: of the training loss.
        seconds: that the evaluation took.
        engine: how its steps were taken, such as ``cuda graph``; empty where nothing was trained.
    """

    score: Score
    cost: Cost
    curve: tuple[CurvePoint, ...]
    seconds: float
    engine: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Outcome:
        """The inverse of ``to_dict``."""
        score = values["score"]
        counts = score.get("counts")
        return cls(
            score=Score(
                score["iou"],
                tuple(score["iou_per_class"]),
                score["loss"],
                None if counts is None else ImageCounts(**counts),
                dict(score.get("metrics", {})),
            ),
            cost=Cost(**values["cost"]),
            curve=tuple(CurvePoint(**point) for point in values["curve"]),
            seconds=values["seconds"],
            engine=values.get("engine", ""),
        )


@dataclass(frozen=True)
class OutOfMemory:
    """The memory that an evaluation lacked.

    Args:
        device: that ran out of it, as in ``Cost``; empty where it is not known.
        needed_mib: what the evaluation held and asked for at once: it takes at least so much. None where the
            system has ended it.
        capacity_mib: what the device has in all; None where it is not known.
    """

    device: str = ""
    needed_mib: float | None = None
    capacity_mib: float | None = None

    def __str__(self) -> str:
        if self.needed_mib is None or self.capacity_mib is None:
            return "it needs more memory than there is"
        return f"it takes at least {self.needed_mib:,.0f} MiB of {self.capacity_mib:,.0f} MiB on {self.device}"


@dataclass(frozen=True)
class Failure:
    """Why an evaluation has no outcome.

    Args:
        reason: in words.
        shortage: of memory, which makes the placement infeasible; None where it was something else.
        cause: what of the machine has failed, such as ``disk``: then this is not a trial. None where the failure
            is the placement's own.
    """

    reason: str
    shortage: OutOfMemory | None = None
    cause: str | None = None


PROBE = "probe"
"""In the memory of a trial that was made to show whether a budget is long enough."""


@dataclass(frozen=True)
class TrialRecord:
    """One evaluation as the study remembers it.

    Args:
        number: the trial's number in the study, from 0.
        placement: what was evaluated.
        budget: how long it was trained.
        seed: of its initialisation and of its batches; equal seeds make a pair.
        role: why it was made.
        reference: name of the reference, such as ``plain``; None for what is not a reference.
        state: how far it came.
        outcome: what it measured; None unless the state is COMPLETE.
        failure: why it failed; None unless the state is FAILED.
        worker: who evaluated it; empty until someone did.
        version: of nas-attn.
        memory: what the strategy wants to find again with this trial.
        shortage: of memory, for which it failed; None where it did not, or for another reason.
    """

    number: int
    placement: Placement
    budget: Budget
    seed: int
    role: Role
    state: State
    reference: str | None = None
    outcome: Outcome | None = None
    failure: str | None = None
    worker: str = ""
    version: str = ""
    memory: Mapping[str, Any] = field(default_factory=dict)
    shortage: OutOfMemory | None = None

    @property
    def is_probe(self) -> bool:
        """It was made to show whether a budget is long enough."""
        return PROBE in self.memory

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {
            **asdict(self),
            "placement": self.placement.to_dict(),
            "budget": self.budget.to_dict(),
            "outcome": None if self.outcome is None else self.outcome.to_dict(),
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> TrialRecord:
        """The inverse of ``to_dict``."""
        outcome, shortage = values["outcome"], values["shortage"]
        return cls(
            **{
                **values,
                "placement": Placement.from_dict(values["placement"]),
                "budget": Budget.from_dict(values["budget"]),
                "role": Role(values["role"]),
                "state": State(values["state"]),
                "outcome": None if outcome is None else Outcome.from_dict(outcome),
                "shortage": None if shortage is None else OutOfMemory(**shortage),
            }
        )


def n_ended(records: Iterable[TrialRecord]) -> int:
    """How many evaluations are complete or failed."""
    return sum(record.state is not State.RUNNING for record in records)
