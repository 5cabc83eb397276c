"""Others delete a study, or end its trials, while it is searched: one line or the right study, never a repeat."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState

from nas_attn.errors import StudyError
from nas_attn.record import Role, State, TrialRecord
from nas_attn.strategy.evaluation import Evaluation
from nas_attn.strategy.schedule.agenda import Agenda
from nas_attn.strategy.settings import StudySettings
from nas_attn.study.database.ledger import Ledger
from nas_attn.study.database.records import read_record
from nas_attn.study.database.trials import WrittenTrial
from nas_attn.study.loop import run_trials
from nas_attn.study.workers.pool import Finished, InlinePool
from nas_attn.training.evaluation import CostTable, LookupEvaluator

TRIALS = 12
MOST_RUNS = 3 * TRIALS

Act = Callable[[optuna.Study, int], None]


class MeddledPool(InlinePool):
    """Somebody does something to a study when a trial of it has been evaluated, and not yet written down."""

    def __init__(self, evaluator: LookupEvaluator, url: str, number: int, act: Act) -> None:
        super().__init__(evaluator)
        self._meddled = False
        self._study = optuna.load_study(study_name="small", storage=url)
        self._number, self._act = number, act
        self.ran: Counter[int] = Counter()

    def submit(self, number: int, evaluation: Evaluation) -> None:
        self.ran[number] += 1
        assert self.ran.total() <= MOST_RUNS, "the same trial again and again"
        super().submit(number, evaluation)

    def wait(self, seconds: float | None = None) -> list[Finished]:
        finished = super().wait(seconds)
        if not self._meddled and any(one.number == self._number for one in finished):
            self._meddled = True
            self._act(self._study, self._number)
        return finished


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'study.db'}"


@pytest.fixture
def search(
    url: str, settings: StudySettings, costs: CostTable, evaluator: LookupEvaluator
) -> Callable[..., tuple[Sequence[TrialRecord], Counter[int]]]:
    """Search a study in SQLite while somebody meddles with it; gives its records and who ran how often."""
    settings = replace(settings, trials=TRIALS)

    def run(act: Act, number: int = 5) -> tuple[Sequence[TrialRecord], Counter[int]]:
        identity = json.loads(json.dumps(settings.identity()))
        ledger = Ledger.create(url, "small", identity, settings.context(), "macs")
        pool = MeddledPool(evaluator, url, number, act)
        records = run_trials(settings, ledger, Agenda(settings, costs), pool, lambda _: None)
        assert tuple(records) == Ledger.open(url, "small").records()
        return records, pool.ran

    return run


def state(to: TrialState, values: Sequence[float] | None = None) -> Act:
    """What sets a trial's state behind the search's back."""

    def act(study: optuna.Study, number: int) -> None:
        study._storage.set_trial_state_values(study.trials[number]._trial_id, to, values)

    return act


@pytest.mark.parametrize(
    "act",
    [state(TrialState.COMPLETE, [0.99, 1.0]), state(TrialState.PRUNED), state(TrialState.FAIL)],
    ids=["told", "pruned", "failed"],
)
def test_a_trial_that_others_have_ended_counts_for_nothing_and_is_not_repeated(search, act):
    records, ran = search(act)

    assert len(records) == TRIALS
    assert [record.state for record in records].count(State.FAILED) == 1
    assert (records[5].outcome, records[5].failure) == (None, "ended from outside")
    assert set(ran.values()) == {1}


def test_a_trial_that_others_have_set_to_wait_is_finished_all_the_same(search):
    records, ran = search(state(TrialState.WAITING))

    assert [record.state for record in records] == [State.COMPLETE] * TRIALS
    assert set(ran.values()) == {1}


def test_without_the_plain_unet_the_search_ends_in_one_line(search):
    with pytest.raises(StudyError) as error:
        search(state(TrialState.COMPLETE, [0.99, 1.0]), number=0)

    (line,) = error.value.problems
    assert line == "the baseline cannot be trained, so nothing can be compared: ended from outside"


@pytest.mark.parametrize("number", [0, 5, TRIALS - 1])
def test_a_study_that_is_deleted_ends_its_search_in_one_line(search, url, number):
    with pytest.raises(StudyError) as error:
        search(lambda study, _: optuna.delete_study(study_name="small", storage=url), number)

    (line,) = error.value.problems
    assert line.endswith(
        "study.db: the study 'small' is gone: it was deleted while it was in use, or its database was replaced; "
        "nothing of it is kept"
    )


def test_a_study_that_is_deleted_while_its_search_waits_for_others_ends_it_in_one_line(
    url, settings, costs, evaluator
):
    """The other process holds the trial under way, so that this one has nothing to write down."""
    ledger = Ledger.create(url, "small", json.loads(json.dumps(settings.identity())), settings.context(), "macs")
    plain = Evaluation(settings.space.plain, settings.budget, settings.seed, Role.REFERENCE, "plain")
    held = ledger.begin(plain, settings.space, version="1")
    other = Ledger.open(url, "small").claims()
    assert other.take(held.number)

    class Waiting(InlinePool):
        def wait(self, seconds: float | None = None) -> list[Finished]:
            if "small" in optuna.get_all_study_names(url):
                optuna.delete_study(study_name="small", storage=url)
            return []

    with pytest.raises(StudyError, match="study 'small' is gone: it was deleted while it was in use"):
        run_trials(settings, ledger, Agenda(settings, costs), Waiting(evaluator), lambda _: None)


def test_an_open_ledger_says_that_its_study_is_gone(url, settings):
    ledger = Ledger.create(url, "small", {}, settings.context(), "macs")
    optuna.delete_study(study_name="small", storage=url)

    for ask in (lambda: ledger.identity, lambda: ledger.context, lambda: ledger.plan):
        with pytest.raises(StudyError, match="the study 'small' is gone: it was deleted"):
            ask()


@pytest.mark.parametrize(
    "written",
    ["{", "[]", "{}", '{"placement": {"skip.0": "("}}', '{"placement": 3}'],
    ids=["cut", "list", "empty", "placement", "number"],
)
def test_a_damaged_trial_is_one_line(url, settings, evaluator, written):
    ledger = Ledger.create(url, "small", {}, settings.context(), "macs")
    one = Evaluation(settings.space.plain, settings.budget, 0, Role.REFERENCE, "plain")
    begun = ledger.begin(one, settings.space, version="1")
    study = optuna.load_study(study_name="small", storage=url)
    study._storage.set_trial_user_attr(study.trials[begun.number]._trial_id, "evaluation", written)

    with pytest.raises(StudyError) as error:
        ledger.records()
    (line,) = error.value.problems
    assert "study.db: the study 'small' is damaged: what is written of a trial cannot be read" in line
    with pytest.raises(StudyError, match="trial 0 is damaged: what is written of it cannot be read"):
        read_record(WrittenTrial(0, TrialState.RUNNING, {"evaluation": written}))


def test_a_damaged_identity_is_one_line(url, settings):
    ledger = Ledger.create(url, "small", {}, settings.context(), "macs")
    optuna.load_study(study_name="small", storage=url).set_user_attr("nas_attn:identity", "{")

    with pytest.raises(StudyError, match="the study 'small' is damaged: its attribute 'nas_attn:identity' cannot"):
        _ = ledger.identity
