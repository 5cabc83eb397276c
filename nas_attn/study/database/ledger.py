"""The Optuna study of a search. Every trial is written before it runs and when it ends."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from typing import Any, TypeVar

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.study import StudyDirection
from optuna.trial import TrialState

from nas_attn.analysis import COSTS
from nas_attn.errors import LostStorageError, StudyError
from nas_attn.latencies import LatencyTable
from nas_attn.models.placement import Placement
from nas_attn.record import Failure, Outcome, TrialRecord
from nas_attn.space import SearchSpace
from nas_attn.strategy.evaluation import Evaluation
from nas_attn.strategy.schedule.reference_architectures import reference_choices
from nas_attn.strategy.settings import Plan
from nas_attn.study.database.claims import Claims, ClaimTable, NoClaims, right_of_birth
from nas_attn.study.database.patience import clear_errors, reached
from nas_attn.study.database.records import (
    DAMAGES,
    OF_FAILURES,
    WRITTEN,
    WrittenFailure,
    ended,
    failure_of,
    of_evaluation,
    of_failure,
    of_outcome,
    read_record,
    record_of,
)
from nas_attn.study.database.sqlite import keep_watch
from nas_attn.study.database.storage import describe_storage, open_storage
from nas_attn.study.database.tables import TrialTables
from nas_attn.study.database.trials import AskedTrials, NewTrial, StudyGoneError, Trials, WrittenTrial

_IDENTITY = "nas_attn:identity"
CONTEXT = "nas_attn:context"
PLAN = "nas_attn:plan"
LATENCIES = "nas_attn:latencies"
OF_STUDIES = (_IDENTITY, CONTEXT, PLAN, LATENCIES)
"""Attributes of a study that describe it."""
Result = TypeVar("Result")


class StudyExistsError(StudyError):
    """A study cannot be created because its name is taken."""


class Ledger:
    """The trials of a study in an Optuna storage, with two objectives: IoU up, cost down.

    Args:
        study: an Optuna study that ``create`` or ``open`` has made or checked.
        url: of its storage, for error messages.
        trials: reads and writes the trials; None lets Optuna do both.
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
        """Create a new, empty study.

        Args:
            url: of the storage.
            name: of the study.
            identity: settings that must not change while the study continues, as plain values.
            context: further settings that an export needs, as plain values.
            cost: name of the second objective.
        Raises:
            StudyExistsError: the storage already has a study of that name.
            StudyError: the storage cannot be used.
        """
        return reached(lambda: cls._created(url, name, identity, context, cost), url)

    @classmethod
    def open(cls, url: str, name: str) -> Ledger:
        """Open an existing study.

        Raises:
            StudyError: the storage cannot be read or has no such study, or nas-attn did not write the study.
        """
        return reached(lambda: cls._opened(url, name), url)

    @classmethod
    def exists(cls, url: str, name: str) -> bool:
        """Whether a storage has a study of that name.

        Raises:
            StudyError: the storage cannot be read.
        """
        return reached(lambda: _exists(url, name), url)

    @classmethod
    def names(cls, url: str) -> tuple[str, ...]:
        """Names of the studies in a storage, oldest first.

        Raises:
            StudyError: the storage cannot be read.
        """
        return reached(lambda: tuple(optuna.get_all_study_names(open_storage(url))), url)

    def beginning_with(self, prefix: str) -> tuple[Ledger, ...]:
        """Studies of nas-attn in the same storage whose names start with ``prefix``, oldest first."""
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
        """The name of the study."""
        return self._study.study_name

    @property
    def url(self) -> str:
        """URL of the storage, with its password."""
        return self._url

    @property
    def optuna_id(self) -> int:
        """Number of the study in Optuna and its dashboard."""
        return self._study._study_id

    @property
    def optuna_storage(self) -> optuna.storages.BaseStorage:
        """Storage for Optuna and its dashboard."""
        return self._study._storage

    @property
    def identity(self) -> dict[str, Any]:
        """The identity with which the study was created."""
        return self._written(_IDENTITY)

    @property
    def context(self) -> dict[str, Any]:
        """The context with which the study was created."""
        return self._written(CONTEXT)

    @property
    def plan(self) -> Plan | None:
        """Planned numbers of trials and of parallel trials, set by the latest search; None if no search has set
        them."""
        return Plan(**self._written(PLAN)) if PLAN in self._attributes() else None

    def write_plan(self, plan: Plan) -> None:
        """Set the planned numbers of trials and of parallel trials for all processes that search the study."""
        self._do(lambda: self._study.set_user_attr(PLAN, json.dumps(asdict(plan))))

    @property
    def latencies(self) -> LatencyTable | None:
        """Latencies of the placements that were last timed together; None if none were."""
        if LATENCIES not in self._attributes():
            return None
        try:
            return LatencyTable.from_dict(self._written(LATENCIES))
        except DAMAGES as error:
            raise self._damaged(f"its attribute '{LATENCIES}'", error) from None

    def write_latencies(self, latencies: LatencyTable) -> None:
        """Store the latencies of placements that were timed together."""
        self._do(lambda: self._study.set_user_attr(LATENCIES, json.dumps(latencies.to_dict())))

    def claims(self) -> Claims:
        """Which trials this process and the others have taken."""
        self._keep_watch()
        if not isinstance(self._trials, TrialTables):
            return NoClaims()
        trials = self._trials
        return self._do(lambda: ClaimTable(trials.engine, trials.study_id, do=self._do))

    def records(self, first: int = 0) -> tuple[TrialRecord, ...]:
        """All trials, by number.

        Args:
            first: number of the first trial to return.
        Raises:
            StudyError: the storage cannot be read, or nas-attn did not write one of the trials.
        """
        written = self._do(lambda: self._trials.read(WRITTEN, first))
        try:
            return tuple(map(record_of, written))
        except DAMAGES as error:
            raise self._damaged("what is written of a trial", error) from None

    def begin(
        self, evaluation: Evaluation, space: SearchSpace, *, version: str, number: int | None = None
    ) -> TrialRecord | None:
        """Write that an evaluation is about to run. From then on, it is never proposed again.

        Args:
            evaluation: of the trial.
            space: whose choices are the trial's parameters.
            version: of nas-attn.
            number: that the trial must get; None takes the next one.
        Returns:
            the trial; None if another process has written one of that number.
        """
        self._keep_watch()
        attributes = of_evaluation(evaluation, version)
        trial = NewTrial(evaluation.placement.to_dict(), _distributions(space, evaluation.placement), attributes)
        written_as = self._do(lambda: self._trials.create(trial, number))
        if written_as is None:
            return None
        return read_record(WrittenTrial(written_as, TrialState.RUNNING, attributes))

    def complete(self, record: TrialRecord, outcome: Outcome, cost: str, worker: str) -> TrialRecord | None:
        """Write an outcome. The trial is then final. None if another process has already ended it."""
        value = COSTS[cost](outcome.cost)
        if value is None:
            raise StudyError(f"trial {record.number}: its {cost} cannot be measured on {outcome.cost.device}")
        return self._end(record, TrialState.COMPLETE, of_outcome(outcome, worker), [outcome.score.iou, value])

    def fail(self, record: TrialRecord, failure: Failure, worker: str) -> TrialRecord | None:
        """Write why an evaluation has no outcome. The trial is then final. None if another process has already
        ended it."""
        return self._end(record, TrialState.FAIL, of_failure(failure, worker))

    def reopen(self, record: TrialRecord) -> bool:
        """Set a failed trial back to running. Returns whether it is running again.

        Args:
            record: of a trial that ran out of memory. In tables made by Optuna, it stays as it is.
        """
        if isinstance(self._trials, AskedTrials):
            return False
        return self._do(lambda: self._trials.reopen([record.number], OF_FAILURES)) == 1

    def failures(self) -> tuple[WrittenFailure, ...]:
        """All failed trials, each with whether the failure is known to be the placement's own."""
        written = self._do(lambda: self._trials.read(OF_FAILURES))
        return tuple(failure_of(one) for one in written if one.state is TrialState.FAIL)

    def begin_anew(self, numbers: Sequence[int]) -> None:
        """Let failed trials run again in the next search.

        Raises:
            StudyError: another process is searching the study, or the storage cannot be written.
        """
        claims = self.claims()
        if isinstance(claims, ClaimTable):
            self._do(claims.release_the_dead)
        if claims.held_by_others():
            raise StudyError(f"another process searches study '{self.name}'; stop it first")
        self._do(lambda: self._trials.reopen(numbers, OF_FAILURES))

    def _end(
        self, record: TrialRecord, state: TrialState, notes: Mapping[str, Any], values: list[float] | None = None
    ) -> TrialRecord | None:
        if not self._do(lambda: self._trials.end(record.number, state, notes, values)):
            return None
        return ended(record, state, notes)

    def _keep_watch(self) -> None:
        """Watch, from the first write on, that the database file stays the one that was opened."""
        if self._is_watched or not isinstance(self._trials, TrialTables):
            return
        with clear_errors(self._url):
            keep_watch(self._trials.engine)
        self._is_watched = True

    def _attributes(self) -> dict[str, Any]:
        return self._do(lambda: self._study._storage.get_study_user_attrs(self._study._study_id))

    def _written(self, name: str) -> dict[str, Any]:
        """An attribute that describes the study."""
        try:
            written: dict[str, Any] = json.loads(self._attributes()[name])
        except (KeyError, TypeError, ValueError) as error:
            raise self._damaged(f"its attribute '{name}'", error) from None
        if not isinstance(written, dict):
            raise self._damaged(f"its attribute '{name}'", TypeError("no mapping"))
        return written

    def check_there(self) -> None:
        """Check that the study is still in its storage.

        Raises:
            LostStorageError: it was deleted, or the storage is another one.
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
            return reached(act, self._url)
        except (KeyError, StudyGoneError):  # Optuna's word for a study that it does not find, and ours
            raise LostStorageError(
                f"{describe_storage(self._url)}: the study '{self.name}' is gone: it was deleted while it was "
                "in use, or its database was replaced"
            ) from None


def _exists(url: str, name: str) -> bool:
    storage = open_storage(url)
    if name not in optuna.get_all_study_names(storage):
        return False
    return not _is_unborn(optuna.load_study(storage=storage, study_name=name))


def _is_unborn(study: optuna.Study) -> bool:
    """Whether nas-attn was stopped while it created the study. The identity is written last."""
    return (
        _IDENTITY not in study.user_attrs
        and set(study.user_attrs) <= {CONTEXT}
        and study.directions == [StudyDirection.MAXIMIZE, StudyDirection.MINIMIZE]
        and not study.get_trials(deepcopy=False)
    )


def _distributions(space: SearchSpace, placement: Placement) -> dict[str, BaseDistribution]:
    """The choices of each location, including those that only reference architectures use."""
    choices = reference_choices(space)
    return {
        str(location): CategoricalDistribution([str(spec) for spec in choices[location]])
        for location, _ in placement
    }
