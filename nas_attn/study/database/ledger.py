"""The Optuna study behind a search: every trial is written down before it runs and when it ends."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from typing import Any, TypeVar

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.study import StudyDirection
from optuna.trial import TrialState
from sqlalchemy.exc import SQLAlchemyError

from nas_attn.analysis import COSTS
from nas_attn.budget import Budget
from nas_attn.errors import LostStorageError, SpaceError, StudyError, UsageError
from nas_attn.latencies import LatencyTable
from nas_attn.models.placement import Placement
from nas_attn.record import Failure, Outcome, OutOfMemory, Role, State, TrialRecord
from nas_attn.space import SearchSpace
from nas_attn.strategy.evaluation import Evaluation
from nas_attn.strategy.schedule.reference_architectures import reference_choices
from nas_attn.strategy.settings import Plan
from nas_attn.study.database.asked import AskedTrials
from nas_attn.study.database.claims import Claims, ClaimTable, NoClaims, right_of_birth
from nas_attn.study.database.patience import patiently
from nas_attn.study.database.storage import describe_storage, keep_watch, open_storage
from nas_attn.study.database.tables import TrialTables
from nas_attn.study.database.trials import NewTrial, StudyGoneError, Trials, WrittenTrial

_IDENTITY = "nas_attn:identity"
CONTEXT = "nas_attn:context"
PLAN = "nas_attn:plan"
LATENCIES = "nas_attn:latencies"
OF_STUDIES = (_IDENTITY, CONTEXT, PLAN, LATENCIES)
"""Attributes of a study that say what it is."""
MEASURED = "measured"
"""Attribute of a trial for readers."""
_EVALUATION = "evaluation"
_OUTCOME = "outcome"
_FAILURE = "failure"
_INFEASIBLE = "infeasible"
ENDED_OUTSIDE = "ended from outside"
"""Of a failed trial to which nas-attn has given no reason."""
WRITTEN = (_EVALUATION, _OUTCOME, _FAILURE)
"""Attributes of a trial that hold its record; those that the ledger writes besides are for readers."""
_BROKEN = ("malformed", "not a database", "no such table", "disk I/O error")
"""What SQLite says of a file that somebody else has written to."""
_OWN = "own"
"""Of a failure: that it is known to be the placement's, which versions before did not ask."""
_DAMAGES = (KeyError, TypeError, ValueError, AttributeError, SpaceError, UsageError)
"""What reading values comes to that nas-attn did not write so."""
Result = TypeVar("Result")
_ENDED = (TrialState.COMPLETE, TrialState.FAIL, TrialState.PRUNED)
"""Nothing here prunes, but others may."""


class StudyExistsError(StudyError):
    """A study cannot be created, since there is one of that name."""


@dataclass(frozen=True)
class WrittenFailure:
    """Why a trial has no outcome.

    Args:
        number: of the trial.
        reason: in words.
        is_own: whether that is known to be the placement's doing, and not the machine's.
    """

    number: int
    reason: str
    is_own: bool


class Ledger:
    """A study's trials in one Optuna storage, with two objectives: IoU up, cost down.

    Args:
        study: an Optuna study that ``create`` or ``open`` has made or checked.
        url: of its storage, for errors.
        trials: of the study; None leaves all reading and writing to Optuna.
    """

    def __init__(self, study: optuna.Study, url: str, trials: Trials | None = None) -> None:
        self._study = study
        self._url = url
        self._trials = trials or AskedTrials(study)
        self._is_watched = False

    @classmethod
    def create(
        cls, url: str, name: str, identity: Mapping[str, Any], context: Mapping[str, Any], cost: str
    ) -> Ledger:
        """A new, empty study.

        Args:
            url: of the storage.
            name: of the study.
            identity: what must not change while the study goes on, as plain values.
            context: what an export needs besides, as plain values.
            cost: name of the second objective.
        Raises:
            StudyExistsError: the storage holds a study of that name.
            StudyError: the storage cannot be used.
        """
        with _clear_errors(url):
            return patiently(lambda: cls._created(url, name, identity, context, cost), url)

    @classmethod
    def open(cls, url: str, name: str) -> Ledger:
        """A study that exists.

        Raises:
            StudyError: the storage cannot be read, has no such study, or the study is not one of nas-attn.
        """
        with _clear_errors(url):
            return patiently(lambda: cls._opened(url, name), url)

    @classmethod
    def exists(cls, url: str, name: str) -> bool:
        """Whether a storage holds a study of that name.

        Raises:
            StudyError: the storage cannot be read.
        """
        with _clear_errors(url):
            return patiently(lambda: _exists(url, name), url)

    @classmethod
    def names(cls, url: str) -> tuple[str, ...]:
        """The studies that a storage holds, in the order of their creation.

        Raises:
            StudyError: the storage cannot be read.
        """
        with _clear_errors(url):
            return patiently(lambda: tuple(optuna.get_all_study_names(open_storage(url))), url)

    def beginning_with(self, prefix: str) -> tuple[Ledger, ...]:
        """The studies of nas-attn in the same storage whose names begin so, in the order of their creation."""
        return self._do(lambda: tuple(self._beginning_with(prefix)))

    @classmethod
    def _created(
        cls, url: str, name: str, identity: Mapping[str, Any], context: Mapping[str, Any], cost: str
    ) -> Ledger:
        # A creation that was killed has left a study without identity and trials: it is taken up here.
        storage = open_storage(url)
        study = optuna.create_study(
            storage=storage,
            study_name=name,
            directions=["maximize", "minimize"],
            load_if_exists=True,
        )
        with right_of_birth(storage.engine, study._study_id):
            if not _is_unborn(study):
                raise StudyExistsError(f"{describe_storage(url)}: there is a study '{name}' already")
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
                study.set_metric_names(["iou", cost])
            study.set_user_attr(CONTEXT, json.dumps(context))
            study.set_user_attr(_IDENTITY, json.dumps(identity))
        return cls(study, url, TrialTables.of(storage, study._study_id))

    @classmethod
    def _opened(cls, url: str, name: str) -> Ledger:
        storage = open_storage(url, must_exist=True)
        try:
            study = optuna.load_study(storage=storage, study_name=name)
        except KeyError:
            raise StudyError(f"{describe_storage(url)}: there is no study '{name}'") from None
        if _IDENTITY not in study.user_attrs:
            raise StudyError(
                f"{describe_storage(url)}: the study '{name}' was not made by nas-attn, so it cannot be read; "
                "use another name"
            )
        return cls(study, url, TrialTables.of(storage, study._study_id))

    def _beginning_with(self, prefix: str) -> Iterator[Ledger]:
        storage, engine = self._study._storage, getattr(self._trials, "engine", None)
        for name in optuna.get_all_study_names(storage):
            with suppress(KeyError):  # deleted at this moment
                study = optuna.load_study(storage=storage, study_name=name) if name.startswith(prefix) else None
                if study is not None and _IDENTITY in study.user_attrs:
                    yield Ledger(study, self._url, engine and TrialTables(engine, study._study_id))

    @property
    def name(self) -> str:
        """The study's name."""
        return self._study.study_name

    @property
    def url(self) -> str:
        """Of its storage, with its password."""
        return self._url

    @property
    def optuna_id(self) -> int:
        """The number that Optuna and its dashboard know the study by."""
        return self._study._study_id

    @property
    def optuna_storage(self) -> optuna.storages.BaseStorage:
        """Where Optuna and its dashboard find the study."""
        return self._study._storage

    @property
    def identity(self) -> dict[str, Any]:
        """What was given when the study was created."""
        return self._written(_IDENTITY)

    @property
    def context(self) -> dict[str, Any]:
        """What was given for exports when the study was created."""
        return self._written(CONTEXT)

    @property
    def plan(self) -> Plan | None:
        """How far the study is to go, as the last search of it has said; None where none has."""
        return Plan(**self._written(PLAN)) if PLAN in self._attributes() else None

    def write_plan(self, plan: Plan) -> None:
        """Tell all who search the study how far it is to go."""
        self._do(lambda: self._study.set_user_attr(PLAN, json.dumps(asdict(plan))))

    @property
    def latencies(self) -> LatencyTable | None:
        """Of the placements that were timed together last; None where none were."""
        if LATENCIES not in self._attributes():
            return None
        try:
            return LatencyTable.from_dict(self._written(LATENCIES))
        except _DAMAGES as error:
            raise self._damaged(f"its attribute '{LATENCIES}'", error) from None

    def write_latencies(self, latencies: LatencyTable) -> None:
        """Keep the latencies of placements that were timed together."""
        self._do(lambda: self._study.set_user_attr(LATENCIES, json.dumps(latencies.to_dict())))

    def claims(self) -> Claims:
        """Which trials this process has taken, and which the others have."""
        self._keep_watch()
        if not isinstance(self._trials, TrialTables):
            return NoClaims()
        trials = self._trials
        return self._do(lambda: ClaimTable(trials.engine, trials.study_id, do=self._do))

    def records(self, first: int = 0) -> tuple[TrialRecord, ...]:
        """All trials, by number.

        Args:
            first: number from which on they are wanted.
        Raises:
            StudyError: the storage cannot be read, or a trial was not written by nas-attn.
        """
        written = self._do(lambda: self._trials.read(WRITTEN, first))
        try:
            return tuple(map(_record_of, written))
        except _DAMAGES as error:
            raise self._damaged("what is written of a trial", error) from None

    def begin(
        self, evaluation: Evaluation, space: SearchSpace, *, version: str, number: int | None = None
    ) -> TrialRecord | None:
        """Write down that an evaluation is about to run; from now on it is never proposed again.

        Args:
            evaluation: what the trial is to find out.
            space: whose choices its parameters have.
            version: of nas-attn.
            number: that the trial has to get; None takes the next one.
        Returns:
            the trial; None where another process has written one of that number.
        """
        self._keep_watch()
        written = {**asdict(evaluation), "placement": evaluation.placement.to_dict(), "version": version}
        attributes = {
            _EVALUATION: json.dumps(written),
            "placement_id": evaluation.placement.id,
            "role": str(evaluation.role),
            "control": evaluation.control or "",
            "seed": evaluation.seed,
            "steps": evaluation.budget.steps,
        }
        trial = NewTrial(evaluation.placement.to_dict(), _distributions(space, evaluation.placement), attributes)
        written_as = self._do(lambda: self._trials.create(trial, number))
        return (
            None if written_as is None else read_record(WrittenTrial(written_as, TrialState.RUNNING, attributes))
        )

    def complete(self, record: TrialRecord, outcome: Outcome, cost: str, worker: str) -> TrialRecord | None:
        """Write an outcome down; the trial is then final. None where another process has ended it."""
        value = COSTS[cost](outcome.cost)
        if value is None:
            raise StudyError(f"trial {record.number}: its {cost} cannot be measured on {outcome.cost.device}")
        notes = {_OUTCOME: json.dumps({"worker": worker, **outcome.to_dict()}), MEASURED: _shown(outcome)}
        return self._end(record, TrialState.COMPLETE, notes, [outcome.score.iou, value])

    def fail(self, record: TrialRecord, failure: Failure, worker: str) -> TrialRecord | None:
        """Write down why an evaluation has no outcome; the trial is then final. None likewise."""
        shortage = None if failure.shortage is None else asdict(failure.shortage)
        told = {"worker": worker, "reason": failure.reason, "shortage": shortage, _OWN: True}
        notes: dict[str, Any] = {_FAILURE: json.dumps(told)}
        if failure.shortage is not None:
            notes[_INFEASIBLE] = str(failure.shortage)
        return self._end(record, TrialState.FAIL, notes)

    def reopen(self, record: TrialRecord) -> bool:
        """Let a failed trial be under way again, as if it had not ended; whether it is.

        Args:
            record: of a trial that ran out of memory. Where Optuna has made the tables, it stays as it is.
        """
        if isinstance(self._trials, AskedTrials):
            return False
        return self._do(lambda: self._trials.reopen([record.number], (_FAILURE, _INFEASIBLE))) == 1

    def failures(self) -> tuple[WrittenFailure, ...]:
        """All failed trials, and whether each is known to be its placement's own."""
        written = self._do(lambda: self._trials.read((_FAILURE,)))
        failed = ((one.number, _told(one)) for one in written if one.state is TrialState.FAIL)
        return tuple(
            WrittenFailure(
                number,
                str(told.get("reason", ENDED_OUTSIDE)),
                is_own=told.get(_OWN) is True or told.get("shortage") is not None,
            )
            for number, told in failed
        )

    def begin_anew(self, numbers: Sequence[int]) -> None:
        """Let failed trials run again with the next search.

        Raises:
            StudyError: another process searches the study, or the storage cannot be written.
        """
        claims = self.claims()
        if isinstance(claims, ClaimTable):
            self._do(claims.release_the_dead)
        if claims.held_by_others():
            raise StudyError(f"another process searches study '{self.name}'; stop it first")
        self._do(lambda: self._trials.reopen(numbers, (_FAILURE, _INFEASIBLE)))

    def _end(
        self, record: TrialRecord, state: TrialState, notes: Mapping[str, Any], values: list[float] | None = None
    ) -> TrialRecord | None:
        if not self._do(lambda: self._trials.end(record.number, state, notes, values)):
            return None
        return _ended(record, state, notes)

    def _keep_watch(self) -> None:
        """From the moment at which something is to be written, the file has to stay the one that was opened."""
        if self._is_watched or not isinstance(self._trials, TrialTables):
            return
        with _clear_errors(self._url):
            keep_watch(self._trials.engine)
        self._is_watched = True

    def _attributes(self) -> dict[str, Any]:
        return self._do(lambda: self._study._storage.get_study_user_attrs(self._study._study_id))

    def _written(self, name: str) -> dict[str, Any]:
        """An attribute of the study that says what it is."""
        try:
            written: dict[str, Any] = json.loads(self._attributes()[name])
        except (KeyError, TypeError, ValueError) as error:
            raise self._damaged(f"its attribute '{name}'", error) from None
        if not isinstance(written, dict):
            raise self._damaged(f"its attribute '{name}'", TypeError("no mapping"))
        return written

    def check_there(self) -> None:
        """Raise where the study is not in its storage any more.

        Raises:
            LostStorageError: somebody has deleted it, or the storage is another one.
        """
        self._attributes()

    def _damaged(self, what: str, error: Exception) -> StudyError:
        told = f"{type(error).__name__}: {error}"
        return StudyError(
            f"{describe_storage(self._url)}: the study '{self.name}' is damaged: {what} cannot be read ({told}); "
            "restore it from a copy, or begin another"
        )

    def _do(self, act: Callable[[], Result]) -> Result:
        try:
            with _clear_errors(self._url):
                return patiently(act, self._url)
        except (KeyError, StudyGoneError):  # Optuna's word for a study that it does not find, and ours
            raise LostStorageError(
                f"{describe_storage(self._url)}: the study '{self.name}' is gone: somebody deleted it while it "
                "was in use, or exchanged its database"
            ) from None


@contextmanager
def _clear_errors(url: str) -> Iterator[None]:
    """Errors of the database as one line that says which storage it was."""
    try:
        yield
    except (SQLAlchemyError, optuna.exceptions.StorageInternalError) as error:
        cause = error.__cause__ or error
        line = " ".join(str(getattr(cause, "orig", None) or cause).split())
        if any(sign in line for sign in _BROKEN):
            raise LostStorageError(f"{describe_storage(url)}: the database is broken: {line}") from error
        mend = "make room for it, and the same command goes on" if "full" in line else "nothing in it was changed"
        raise StudyError(f"{describe_storage(url)}: the storage cannot be used: {line}; {mend}") from error


def _exists(url: str, name: str) -> bool:
    storage = open_storage(url)
    if name not in optuna.get_all_study_names(storage):
        return False
    return not _is_unborn(optuna.load_study(storage=storage, study_name=name))


def _is_unborn(study: optuna.Study) -> bool:
    """Whether nas-attn was stopped while it created a study: its identity is what is written last."""
    return (
        _IDENTITY not in study.user_attrs
        and set(study.user_attrs) <= {CONTEXT}
        and study.directions == [StudyDirection.MAXIMIZE, StudyDirection.MINIMIZE]
        and not study.get_trials(deepcopy=False)
    )


def _distributions(space: SearchSpace, placement: Placement) -> dict[str, BaseDistribution]:
    """The choices of each location, with those that reference architectures have besides."""
    choices = reference_choices(space)
    return {
        str(location): CategoricalDistribution([str(spec) for spec in choices[location]])
        for location, _ in placement
    }


def _shown(outcome: Outcome) -> dict[str, Any]:
    """What a reader of the dashboard wants to see beside the two objectives."""
    return {
        "iou_per_class": list(outcome.score.iou_per_class),
        "parameters": outcome.cost.parameters,
        "macs": outcome.cost.macs,
        "latency_ms": outcome.cost.latency_ms,
        "peak_memory_mib": outcome.cost.peak_memory_mib,
        "seconds": round(outcome.seconds, 3),
        "device": outcome.cost.device,
    }


def read_record(trial: WrittenTrial) -> TrialRecord:
    """The record of a trial.

    Raises:
        StudyError: it was not written by nas-attn, or is damaged.
    """
    try:
        return _record_of(trial)
    except _DAMAGES as error:
        told = f"{type(error).__name__}: {error}"
        raise StudyError(
            f"trial {trial.number} is damaged: what is written of it cannot be read ({told})"
        ) from None


def _record_of(trial: WrittenTrial) -> TrialRecord:
    """Raises one of ``_DAMAGES`` where a value is not what nas-attn writes."""
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
        control=written["control"],
        version=written["version"],
        memory=written["memory"],
    )
    return _ended(begun, trial.state, trial.attributes)


def _ended(record: TrialRecord, state: TrialState, notes: Mapping[str, Any]) -> TrialRecord:
    """The record with what its trial came to; the same record where the trial has not ended."""
    if state not in _ENDED:
        return record
    ended = json.loads(notes.get(_OUTCOME) or notes.get(_FAILURE) or "{}")
    # Complete without an outcome: somebody else has told Optuna values that nobody measured.
    complete, shortage = state is TrialState.COMPLETE and _OUTCOME in notes, ended.get("shortage")
    return replace(
        record,
        state=State.COMPLETE if complete else State.FAILED,
        outcome=Outcome.from_dict(ended) if complete else None,
        failure=None if complete else ended.get("reason", ENDED_OUTSIDE),
        worker=ended.get("worker", ""),
        shortage=None if shortage is None else OutOfMemory(**shortage),
    )


def _told(trial: WrittenTrial) -> dict[str, Any]:
    """What was written of a failure; nothing where nas-attn has written nothing."""
    told: dict[str, Any] = json.loads(trial.attributes.get(_FAILURE) or "{}")
    return told
