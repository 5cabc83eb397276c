"""A study's trials by way of Optuna's own functions, which know every storage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import optuna
from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import TrialState, create_trial

from nas_attn.study.database.trials import NewTrial, WrittenTrial


class AskedTrials:
    """Trials of a storage in memory, in a file, or with tables that ``TrialTables`` does not know.

    Args:
        study: that they belong to.
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
        """Write a running trial down; its number is one more than the last."""
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
        """Give a running trial its final state; ``Study.tell`` would read it half a dozen times on its way."""
        storage = self._study._storage
        trial_id = storage.get_trial_id_from_study_id_trial_number(self._study._study_id, number)
        try:
            for name, value in attributes.items():
                storage.set_trial_user_attr(trial_id, name, value)
            return storage.set_trial_state_values(trial_id, state, values)
        except UpdateFinishedTrialError:
            return False

    def reopen(self, number: int, attributes: Sequence[str]) -> bool:
        """Never: what has ended is final to Optuna."""
        return False
