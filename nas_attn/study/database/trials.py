"""What a ledger needs from a storage, and an implementation with Optuna's own functions.

Trials are read together, and written one by one, completely or not at all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import optuna
from optuna.distributions import BaseDistribution
from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import TrialState, create_trial

from nas_attn.errors import StudyError


class StudyGoneError(Exception):
    """The storage no longer has the study, or not with the trials that it had."""


@dataclass(frozen=True)
class WrittenTrial:
    """A trial in the storage.

    Args:
        number: of the trial, from 0.
        state: Optuna's state.
        attributes: the requested user attributes, by name.
    """

    number: int
    state: TrialState
    attributes: Mapping[str, Any]


@dataclass(frozen=True)
class NewTrial:
    """A trial that is about to run.

    Args:
        params: its parameters.
        distributions: from which each parameter was chosen.
        attributes: its user attributes, plain JSON values.
    """

    params: Mapping[str, Any]
    distributions: Mapping[str, BaseDistribution]
    attributes: Mapping[str, Any]


class Trials(Protocol):
    """The trials of one study; several processes may read and write them at once."""

    def read(self, names: Sequence[str], first: int = 0) -> tuple[WrittenTrial, ...]:
        """All trials from the number ``first`` on, with the user attributes of those names."""

    def create(self, trial: NewTrial, number: int | None = None) -> int | None:
        """Write a running trial. Its number is one more than the last, even with other writers.

        Args:
            trial: to write.
            number: that it has to get; None accepts any.
        Returns:
            its number; None if the next trial would have had another number, and then nothing was written.
        """

    def end(
        self, number: int, state: TrialState, attributes: Mapping[str, Any], values: Sequence[float] | None
    ) -> bool:
        """Give a running trial its final state, further user attributes and, if it is complete, its values.

        Returns:
            False if the trial was no longer running; then nothing has changed. A trial that others have set to
                waiting counts as running.
        Raises:
            StudyGoneError: there is no such trial.
        """

    def reopen(self, numbers: Sequence[int], forget: Sequence[str]) -> int:
        """Let failed trials run again, all of them or none.

        Args:
            numbers: of the trials; those that have not failed stay as they are.
            forget: user attributes to delete.
        Returns:
            the number of trials that run again.
        """


class AskedTrials:
    """Trials of a storage in memory, in a file, or with tables that ``TrialTables`` does not know.

    Args:
        study: to which they belong.
    """

    def __init__(self, study: optuna.Study) -> None:
        self._study = study

    def read(self, names: Sequence[str], first: int = 0) -> tuple[WrittenTrial, ...]:
        """All trials from a number on, with the user attributes of those names."""
        return tuple(
            WrittenTrial(
                trial.number, trial.state, {key: trial.user_attrs[key] for key in names if key in trial.user_attrs}
            )
            for trial in self._study.get_trials(deepcopy=False)[first:]
        )

    def create(self, trial: NewTrial, number: int | None = None) -> int | None:
        """Write a running trial. Its number is one more than the last."""
        storage = self._study._storage
        if number not in (None, len(self._study.get_trials(deepcopy=False))):
            return None
        template = create_trial(
            state=TrialState.RUNNING,
            params=dict(trial.params),
            distributions=dict(trial.distributions),
            user_attrs=dict(trial.attributes),
        )
        trial_id = storage.create_new_trial(self._study._study_id, template_trial=template)
        return storage.get_trial_number_from_id(trial_id)

    def end(
        self, number: int, state: TrialState, attributes: Mapping[str, Any], values: Sequence[float] | None
    ) -> bool:
        """Give a running trial its final state; ``Study.tell`` would read it half a dozen times."""
        storage = self._study._storage
        trial_id = storage.get_trial_id_from_study_id_trial_number(self._study._study_id, number)
        try:
            for name, value in attributes.items():
                storage.set_trial_user_attr(trial_id, name, value)
            return storage.set_trial_state_values(trial_id, state, values)
        except UpdateFinishedTrialError:
            return False

    def reopen(self, numbers: Sequence[int], forget: Sequence[str]) -> int:
        """Not possible: Optuna's functions do not change a trial that has ended.

        Raises:
            StudyError: always.
        """
        raise StudyError(
            "the trials of this storage cannot be started again: this version of Optuna has made its tables "
            "differently"
        )
