"""The result of an evaluation, and the record of a trial."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

from nas_attn.budget import Budget
from nas_attn.counts import ImageCounts
from nas_attn.models.placement import Placement


class State(StrEnum):
    """Progress of an evaluation."""

    RUNNING = "running"
    COMPLETE = "complete"
    FAILED = "failed"


class Role(StrEnum):
    """Purpose of an evaluation."""

    REFERENCE = "control"
    """A reference architecture; databases keep the word that studies began with."""
    PROPOSAL = "proposal"
    FINALIST = "finalist"


@dataclass(frozen=True)
class Cost:
    """Costs of a network.

    Args:
        parameters: number of trainable parameters.
        macs: multiply-accumulate operations of the forward pass of one image.
        latency_ms: median time of the forward pass of one image; None if it was not measured.
        peak_memory_mib: peak memory of a training step, above the memory in use before; None if it was not
            measured.
        device: on which the last two were measured; empty if they were not.
    """

    parameters: int
    macs: int
    latency_ms: float | None = None
    peak_memory_mib: float | None = None
    device: str = ""


@dataclass(frozen=True)
class Score:
    """Quality of a network's segmentation of the validation set.

    Args:
        iou: value of the study's metric; by default the mean of ``iou_per_class`` over the classes that occur in
            the masks.
        iou_per_class: intersection over union of each class, background included, all pixels pooled; None for a
            class that does not occur in the masks.
        loss: mean training loss over the whole validation set.
        counts: of pixels by image and class; None if they were not kept.
        metrics: value of every metric by its name; None if the masks have no class that the metric uses.
    """

    iou: float
    iou_per_class: tuple[float | None, ...]
    loss: float
    counts: ImageCounts | None = None
    metrics: Mapping[str, float | None] = field(default_factory=dict)


@dataclass(frozen=True)
class CurvePoint:
    """The training loss, averaged since the previous point.

    Args:
        step: number of optimiser steps taken.
        loss: mean training loss.
    """

    step: int
    loss: float


@dataclass(frozen=True)
class Outcome:
    """Everything that an evaluation measured. Apart from the times, it is a pure function of placement, budget,
    seed, data and kind of device.

    Args:
        score: on the validation set.
        cost: of the network.
        curve: of the training loss.
        seconds: duration of the evaluation.
        engine: how the steps were taken, such as ``cuda graph``; empty if nothing was trained.
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
        device: that ran out of memory, as in ``Cost``; empty if it is not known.
        needed_mib: memory in use plus memory requested: a lower bound of what the evaluation needs; None if the
            operating system ended it.
        capacity_mib: total memory of the device; None if it is not known.
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
        shortage: of memory, which makes the placement infeasible; None for other reasons.
        cause: part of the machine that failed, such as ``disk``; the trial then does not count. None if the
            placement itself failed.
    """

    reason: str
    shortage: OutOfMemory | None = None
    cause: str | None = None


PROBE = "probe"
"""Marks, in the memory of a trial, that it was run to measure whether a budget is long enough."""


@dataclass(frozen=True)
class TrialRecord:
    """One evaluation as the study stores it.

    Args:
        number: the trial's number in the study, from 0.
        placement: that was evaluated.
        budget: of its training.
        seed: of its initialisation and its batches; equal seeds make a pair.
        role: its purpose.
        reference: name of the reference architecture, such as ``plain``; None for other placements.
        state: its progress.
        outcome: the result; None unless the state is COMPLETE.
        failure: why it failed; None unless the state is FAILED.
        worker: that evaluated it; empty until then.
        version: of nas-attn.
        memory: values that the strategy stores with this trial.
        shortage: of memory, by which it failed; None otherwise.
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
        """Whether it was run to measure if a budget is long enough."""
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
    """Number of evaluations that are complete or failed."""
    return sum(record.state is not State.RUNNING for record in records)
