"""Convert the record of a trial to attributes in the database, and back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from optuna.trial import TrialState

from nas_attn.budget import Budget
from nas_attn.errors import SpaceError, StudyError, UsageError
from nas_attn.models.placement import Placement
from nas_attn.record import Failure, Outcome, OutOfMemory, Role, State, TrialRecord
from nas_attn.strategy.evaluation import Evaluation
from nas_attn.study.database.trials import WrittenTrial

MEASURED = "measured"
"""Attribute of a trial for people."""
_EVALUATION = "evaluation"
_OUTCOME = "outcome"
_FAILURE = "failure"
_INFEASIBLE = "infeasible"
WRITTEN = (_EVALUATION, _OUTCOME, _FAILURE)
"""Attributes of a trial that contain its record; all others are for people."""
OF_FAILURES = (_FAILURE, _INFEASIBLE)
"""Attributes that only failed trials have."""
_ENDED_OUTSIDE = "ended from outside"
"""Reason of a failed trial to which nas-attn has given none."""
_OWN = "own"
"""Key of a failure that is known to be the placement's own; older versions did not write it."""
DAMAGES = (KeyError, TypeError, ValueError, AttributeError, SpaceError, UsageError)
"""Errors of reading values that nas-attn did not write."""
_ENDED = (TrialState.COMPLETE, TrialState.FAIL, TrialState.PRUNED)
"""nas-attn prunes no trials, but other programs may."""


@dataclass(frozen=True)
class WrittenFailure:
    """Why a trial has no outcome.

    Args:
        number: of the trial.
        reason: in words.
        is_own: whether the placement is known to have failed, not the machine.
    """

    number: int
    reason: str
    is_own: bool


def of_evaluation(evaluation: Evaluation, version: str) -> dict[str, Any]:
    """Attributes of a trial that is about to run."""
    written = {**asdict(evaluation), "placement": evaluation.placement.to_dict(), "version": version}
    written["control"] = written.pop("reference")  # databases keep the word that studies began with
    return {
        _EVALUATION: json.dumps(written),
        "placement_id": evaluation.placement.id,
        "role": str(evaluation.role),
        "control": evaluation.reference or "",
        "seed": evaluation.seed,
        "steps": evaluation.budget.steps,
    }


def of_outcome(outcome: Outcome, worker: str) -> dict[str, Any]:
    """Attributes that a complete trial gets, including values for users of the dashboard."""
    shown = {
        "iou_per_class": list(outcome.score.iou_per_class),
        "parameters": outcome.cost.parameters,
        "macs": outcome.cost.macs,
        "latency_ms": outcome.cost.latency_ms,
        "peak_memory_mib": outcome.cost.peak_memory_mib,
        "seconds": round(outcome.seconds, 3),
        "device": outcome.cost.device,
    }
    return {_OUTCOME: json.dumps({"worker": worker, **outcome.to_dict()}), MEASURED: shown}


def of_failure(failure: Failure, worker: str) -> dict[str, Any]:
    """Attributes that a failed trial gets."""
    shortage = None if failure.shortage is None else asdict(failure.shortage)
    told = {"worker": worker, "reason": failure.reason, "shortage": shortage, _OWN: True}
    infeasible = {} if failure.shortage is None else {_INFEASIBLE: str(failure.shortage)}
    return {_FAILURE: json.dumps(told), **infeasible}


def read_record(trial: WrittenTrial) -> TrialRecord:
    """The record of a trial.

    Raises:
        StudyError: nas-attn did not write it, or it is damaged.
    """
    try:
        return record_of(trial)
    except DAMAGES as error:
        told = f"{type(error).__name__}: {error}"
        raise StudyError(
            f"trial {trial.number} is damaged: what is written of it cannot be read ({told})"
        ) from None


def record_of(trial: WrittenTrial) -> TrialRecord:
    """The record of a trial. Raises one of ``DAMAGES`` if nas-attn did not write a value."""
    if _EVALUATION not in trial.attributes:
        raise StudyError(f"trial {trial.number} was not written by nas-attn; use another study")
    written = json.loads(trial.attributes[_EVALUATION])
    begun = TrialRecord(
        number=trial.number,
        placement=Placement.from_dict(written["placement"]),
        budget=Budget.from_dict(written["budget"]),
        seed=written["seed"],
        role=Role(written["role"]),
        state=State.RUNNING,
        reference=written["control"],
        version=written["version"],
        memory=written["memory"],
    )
    return ended(begun, trial.state, trial.attributes)


def ended(record: TrialRecord, state: TrialState, notes: Mapping[str, Any]) -> TrialRecord:
    """The record with its result; unchanged if the trial has not ended."""
    if state not in _ENDED:
        return record
    found = json.loads(notes.get(_OUTCOME) or notes.get(_FAILURE) or "{}")
    # Complete without an outcome: somebody else has told Optuna values that nobody measured.
    complete, shortage = state is TrialState.COMPLETE and _OUTCOME in notes, found.get("shortage")
    return replace(
        record,
        state=State.COMPLETE if complete else State.FAILED,
        outcome=Outcome.from_dict(found) if complete else None,
        failure=None if complete else found.get("reason", _ENDED_OUTSIDE),
        worker=found.get("worker", ""),
        shortage=None if shortage is None else OutOfMemory(**shortage),
    )


def failure_of(trial: WrittenTrial) -> WrittenFailure:
    """Why a failed trial has no outcome."""
    told: dict[str, Any] = json.loads(trial.attributes.get(_FAILURE) or "{}")
    is_own = told.get(_OWN) is True or told.get("shortage") is not None
    return WrittenFailure(trial.number, str(told.get("reason", _ENDED_OUTSIDE)), is_own)
