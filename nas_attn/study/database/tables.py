"""The trials of a study, read and written directly in the tables of Optuna's database, each in one transaction.

Optuna's own writer looks up every parameter before it adds it: 60 statements for a trial of 13 locations, where
five are enough. And it ends a trial in several transactions, between which a process may die.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Self

import optuna
from optuna.distributions import distribution_to_json
from optuna.storages._rdb import models
from optuna.trial import TrialState
from sqlalchemy import Connection, Engine, insert, select, update

from nas_attn.study.database.trials import NewTrial, StudyGoneError, WrittenTrial

SCHEMAS = ("v3.2.0.a",)
"""Known revisions of Optuna's tables."""

_UNENDED = (TrialState.RUNNING, TrialState.WAITING)

_STUDIES = models.StudyModel.__table__
_TRIALS = models.TrialModel.__table__
_PARAMS = models.TrialParamModel.__table__
_ATTRIBUTES = models.TrialUserAttributeModel.__table__
_VALUES = models.TrialValueModel.__table__


class TrialTables:
    """Trials in the tables of an Optuna database, as Optuna itself would write them.

    Args:
        engine: of the database.
        study_id: Optuna's number of the study.
    """

    def __init__(self, engine: Engine, study_id: int) -> None:
        self.engine = engine
        self.study_id = study_id
        self._trial_ids: dict[int, int] = {}

    @classmethod
    def of(cls, storage: optuna.storages.RDBStorage, study_id: int) -> Self | None:
        """The trials of a study; None if another version of Optuna has made the tables."""
        return cls(storage.engine, study_id) if storage.get_current_version() in SCHEMAS else None

    def read(self, names: Sequence[str], first: int = 0) -> tuple[WrittenTrial, ...]:
        """All trials from a number on, with the user attributes of those names, in one query."""
        attributes = (_ATTRIBUTES.c.trial_id == _TRIALS.c.trial_id) & _ATTRIBUTES.c.key.in_(names)
        # There is no index of numbers, and the database numbers the trials of a study in the same order.
        before = self._trial_ids.get(first - 1)
        wanted = _TRIALS.c.number >= first if before is None else _TRIALS.c.trial_id > before
        query = (
            select(
                _TRIALS.c.trial_id, _TRIALS.c.number, _TRIALS.c.state, _ATTRIBUTES.c.key, _ATTRIBUTES.c.value_json
            )
            .select_from(_TRIALS.outerjoin(_ATTRIBUTES, attributes))
            .where((_TRIALS.c.study_id == self.study_id) & wanted)
            .order_by(_TRIALS.c.number)
        )
        found: dict[int, WrittenTrial] = {}
        held: dict[int, dict[str, Any]] = {}
        with self.engine.connect() as connection:
            for trial_id, number, state, name, value in connection.execute(query):
                if number not in found:
                    self._trial_ids[number] = trial_id
                    found[number] = WrittenTrial(number, state, held.setdefault(number, {}))
                if name is not None:
                    held[number][name] = json.loads(value)
        return tuple(found.values())

    def create(self, trial: NewTrial, number: int | None = None) -> int | None:
        """Write a running trial. Its number is one more than the last, even with other writers."""
        with self.engine.begin() as connection:
            wanted, number = number, self._next_number(connection)
            if wanted not in (None, number):
                return None
            row = {
                "study_id": self.study_id,
                "number": number,
                "state": TrialState.RUNNING,
                "datetime_start": _now(),
            }
            key: Any = connection.execute(insert(_TRIALS).values(row)).inserted_primary_key
            trial_id = int(key[0])
            if trial.params:
                connection.execute(insert(_PARAMS), _param_rows(trial_id, trial))
            if trial.attributes:
                connection.execute(insert(_ATTRIBUTES), _attribute_rows(trial_id, trial.attributes))
        self._trial_ids[number] = trial_id
        return number

    def end(
        self, number: int, state: TrialState, attributes: Mapping[str, Any], values: Sequence[float] | None
    ) -> bool:
        """Give a running trial its final state, further user attributes and its values, in one transaction."""
        with self.engine.begin() as connection:
            trial_id = self._trial_id(connection, number)
            running = (_TRIALS.c.trial_id == trial_id) & _TRIALS.c.state.in_(_UNENDED)
            final = {"state": state, "datetime_complete": _now()}
            if not connection.execute(update(_TRIALS).where(running).values(final)).rowcount:
                self._find(connection, number)
                return False
            _forget(connection, trial_id, attributes)
            if attributes:
                connection.execute(insert(_ATTRIBUTES), _attribute_rows(trial_id, attributes))
            if values is not None:
                connection.execute(insert(_VALUES), _value_rows(trial_id, values))
        return True

    def reopen(self, numbers: Sequence[int], forget: Sequence[str]) -> int:
        """Let failed trials run again without some of their user attributes, in one transaction."""
        n_reopened = 0
        with self.engine.begin() as connection:
            for number in numbers:
                trial_id = self._trial_id(connection, number)
                failed = (_TRIALS.c.trial_id == trial_id) & (_TRIALS.c.state == TrialState.FAIL)
                again = {"state": TrialState.RUNNING, "datetime_complete": None}
                if connection.execute(update(_TRIALS).where(failed).values(again)).rowcount:
                    _forget(connection, trial_id, dict.fromkeys(forget))
                    n_reopened += 1
        return n_reopened

    def _next_number(self, connection: Connection) -> int:
        """One more than the last trial's number.

        Updating the study's row to its own value locks it in every database, so that no two writers see the same
        last trial. The lock has to come before anything is read.
        """
        same = update(_STUDIES).where(_STUDIES.c.study_id == self.study_id)
        if not connection.execute(same.values(study_name=_STUDIES.c.study_name)).rowcount:
            raise StudyGoneError
        of_study = select(_TRIALS.c.number).where(_TRIALS.c.study_id == self.study_id)
        last = connection.scalar(of_study.order_by(_TRIALS.c.trial_id.desc()).limit(1))
        return 0 if last is None else int(last) + 1

    def _trial_id(self, connection: Connection, number: int) -> int:
        if number not in self._trial_ids:
            self._trial_ids[number] = self._find(connection, number)
        return self._trial_ids[number]

    def _find(self, connection: Connection, number: int) -> int:
        here = (_TRIALS.c.study_id == self.study_id) & (_TRIALS.c.number == number)
        trial_id = connection.execute(select(_TRIALS.c.trial_id).where(here)).scalar()
        if trial_id is None:
            raise StudyGoneError
        return int(trial_id)


def _forget(connection: Connection, trial_id: int, attributes: Mapping[str, Any]) -> None:
    """Delete attributes that the trial already has, from an interrupted attempt to end it.

    Only existing ones are deleted, because MySQL also locks gaps, and two writers would wait for each other's.
    """
    of_trial = select(_ATTRIBUTES.c.trial_user_attribute_id, _ATTRIBUTES.c.key).where(
        _ATTRIBUTES.c.trial_id == trial_id
    )
    stale = [number for number, key in connection.execute(of_trial) if key in attributes]
    if stale:
        connection.execute(_ATTRIBUTES.delete().where(_ATTRIBUTES.c.trial_user_attribute_id.in_(stale)))


def _param_rows(trial_id: int, trial: NewTrial) -> list[dict[str, Any]]:
    return [
        {
            "trial_id": trial_id,
            "param_name": name,
            "param_value": trial.distributions[name].to_internal_repr(value),
            "distribution_json": distribution_to_json(trial.distributions[name]),
        }
        for name, value in trial.params.items()
    ]


def _attribute_rows(trial_id: int, attributes: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [
        {"trial_id": trial_id, "key": key, "value_json": json.dumps(value)} for key, value in attributes.items()
    ]


def _value_rows(trial_id: int, values: Sequence[float]) -> list[dict[str, Any]]:
    stored = [models.TrialValueModel.value_to_stored_repr(value) for value in values]
    return [
        {"trial_id": trial_id, "objective": objective, "value": value, "value_type": kind}
        for objective, (value, kind) in enumerate(stored)
    ]


def _now() -> datetime:
    """The time in UTC without a time zone, as in Optuna's tables."""
    return datetime.now(UTC).replace(tzinfo=None)
