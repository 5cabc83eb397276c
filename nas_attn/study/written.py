"""What a study's database holds of each trial, read in one query."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy
from optuna.trial import TrialState


@dataclass(frozen=True)
class WrittenTrial:
    """A trial as the storage has it.

    Args:
        number: of the trial, from 0.
        state: Optuna's.
        attributes: user attributes that were asked for, by name.
    """

    number: int
    state: TrialState
    attributes: Mapping[str, Any]


def written_trials(engine: sqlalchemy.Engine, study_id: int, names: Sequence[str]) -> tuple[WrittenTrial, ...]:
    """All trials of a study, by number, with some of their user attributes.

    Optuna's own reader also builds every parameter with its distribution and every other attribute: two seconds
    for a thousand trials, of which nothing is wanted here.

    Args:
        engine: of the database.
        study_id: Optuna's number of the study.
        names: of the attributes.
    """
    query = sqlalchemy.text(
        "SELECT trials.number, trials.state, attributes.key, attributes.value_json FROM trials "
        "LEFT JOIN trial_user_attributes AS attributes "
        "ON attributes.trial_id = trials.trial_id AND attributes.key IN :names "
        "WHERE trials.study_id = :study_id ORDER BY trials.number"
    ).bindparams(sqlalchemy.bindparam("names", expanding=True))
    states: dict[int, str] = {}
    attributes: dict[int, dict[str, Any]] = {}
    with engine.connect() as connection:
        for number, state, name, value in connection.execute(query, {"names": list(names), "study_id": study_id}):
            states[number] = state
            held = attributes.setdefault(number, {})
            if name is not None:
                held[name] = json.loads(value)
    return tuple(WrittenTrial(number, TrialState[state], attributes[number]) for number, state in states.items())
