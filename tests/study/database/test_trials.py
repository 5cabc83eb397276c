"""The trials of a study in a storage: what Optuna would have written, whole or not at all, by several writers."""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any

import optuna
import pytest
import sqlalchemy
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.trial import TrialState, create_trial

from nas_attn.study.database import tables
from nas_attn.study.database.storage import open_storage
from nas_attn.study.database.tables import TrialTables
from nas_attn.study.database.trials import AskedTrials, NewTrial, Trials

SERVERS = os.environ.get("NAS_ATTN_TEST_DATABASES", "").split()
"""URLs of databases besides SQLite, such as postgresql+psycopg://me@localhost/test; each keeps what it holds."""

CHOICES: dict[str, BaseDistribution] = {
    "encoder.0": CategoricalDistribution(["none", "se", "se(reduction=8)"]),
    "bottleneck": CategoricalDistribution(["none", "non_local"]),
}
NEW = NewTrial(
    params={"encoder.0": "se(reduction=8)", "bottleneck": "none"},
    distributions=CHOICES,
    attributes={"evaluation": '{"seed": 3}', "role": "proposal", "steps": 400, "nothing": None},
)
NOTES: dict[str, Any] = {"outcome": '{"iou": 0.5}', "measured": {"macs": 7, "iou_per_class": [0.25, None]}}
VALUES = [0.1 + 0.2, 1e9]


@pytest.fixture(scope="module", params=["sqlite", *SERVERS], ids=lambda url: url.partition(":")[0])
def url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path_factory.mktemp('studies') / 'study.db'}"
    return str(request.param)


OPENED: list[optuna.storages.RDBStorage] = []


def opened(url: str) -> optuna.storages.RDBStorage:
    OPENED.append(open_storage(url))
    return OPENED[-1]


@pytest.fixture(autouse=True)
def closed() -> Iterator[None]:
    """A server must not be left with the connections of all tests."""
    yield
    while OPENED:
        OPENED.pop().engine.dispose()


@pytest.fixture
def study(url: str) -> Iterator[optuna.Study]:
    name = f"test-{uuid.uuid4()}"
    study = optuna.create_study(storage=opened(url), study_name=name, directions=["maximize", "minimize"])
    yield study
    optuna.delete_study(storage=study._storage, study_name=name)


@pytest.fixture
def trials(study: optuna.Study, url: str) -> TrialTables:
    return another(study, url)


@pytest.fixture(params=["tables", "asked"])
def either(request: pytest.FixtureRequest, study: optuna.Study, url: str) -> Trials:
    return another(study, url) if request.param == "tables" else AskedTrials(study)


def another(study: optuna.Study, url: str) -> TrialTables:
    """The same study by connections of its own, as another process has it."""
    found = TrialTables.of(opened(url), study._study_id)
    assert found is not None
    return found


def engine_of(trials: TrialTables) -> sqlalchemy.Engine:
    return trials.engine


def seen_by_optuna(study: optuna.Study, url: str) -> list[optuna.trial.FrozenTrial]:
    """What a program that knows only Optuna reads, with nothing remembered."""
    return optuna.load_study(study_name=study.study_name, storage=opened(url)).trials


def written_by_optuna(study: optuna.Study, state: TrialState) -> None:
    study.add_trial(
        create_trial(
            state=state,
            params=dict(NEW.params),
            distributions=dict(NEW.distributions),
            user_attrs={**NEW.attributes, **(NOTES if state.is_finished() else {})},
            values=VALUES if state is TrialState.COMPLETE else None,
        )
    )


def rows(engine: sqlalchemy.Engine, number: int, study_id: int) -> dict[str, list[dict[str, Any]]]:
    """All that the database holds of a trial, but for its keys and times."""
    skipped = {"trial_id", "number", "datetime_start", "datetime_complete"}
    names = ("trials", "trial_params", "trial_user_attributes", "trial_values", "trial_system_attributes")
    with engine.connect() as connection:
        where = f"trial_id = (SELECT trial_id FROM trials WHERE study_id = {study_id} AND number = {number})"
        found = {}
        for name in names:
            table = connection.execute(sqlalchemy.text(f"SELECT * FROM {name} WHERE {where}"))
            others = list(table.keys())[1:]
            kept = [name for name in others if name not in skipped]
            found[name] = sorted(
                ({name: row._mapping[name] for name in kept} for row in table), key=lambda row: str(row)
            )
    return found


@pytest.mark.parametrize("state", [TrialState.RUNNING, TrialState.COMPLETE, TrialState.FAIL], ids=str)
def test_a_trial_is_what_optuna_would_have_written(
    state: TrialState, study: optuna.Study, trials: TrialTables, url: str
) -> None:
    written_by_optuna(study, state)
    number = trials.create(NEW)
    if state.is_finished():
        assert trials.end(number, state, NOTES, VALUES if state is TrialState.COMPLETE else None)

    theirs, ours = (rows(engine_of(trials), number, study._study_id) for number in (0, 1))
    assert ours == theirs
    one, other = seen_by_optuna(study, url)
    assert (other.number, other.state, other.values) == (1, one.state, one.values)
    assert (other.params, other.distributions) == (one.params, one.distributions)
    assert list(other.params) == list(one.params)
    assert (other.user_attrs, other.system_attrs) == (one.user_attrs, one.system_attrs)


def test_times_are_read_as_local_times_wherever_the_clock_stands(
    study: optuna.Study, trials: TrialTables, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        before = datetime.now() - timedelta(seconds=1)  # MySQL keeps whole seconds
        trials.end(trials.create(NEW), TrialState.FAIL, {}, None)
        (trial,) = seen_by_optuna(study, url)
        assert trial.datetime_start is not None
        assert trial.datetime_complete is not None
        assert before <= trial.datetime_start <= trial.datetime_complete <= before + timedelta(minutes=1)
    finally:
        monkeypatch.undo()
        time.tzset()


def test_infinite_values_come_back(study: optuna.Study, trials: TrialTables, url: str) -> None:
    trials.end(trials.create(NEW), TrialState.COMPLETE, {}, [float("-inf"), float("inf")])

    assert seen_by_optuna(study, url)[0].values == [float("-inf"), float("inf")]


def test_all_trials_are_read_by_number_with_the_attributes_that_are_asked_for(either: Trials) -> None:
    first, second = either.create(NEW), either.create(NEW)
    either.end(second, TrialState.COMPLETE, NOTES, VALUES)

    one, other = either.read(("role", "outcome"))

    assert (one.number, one.state, one.attributes) == (first, TrialState.RUNNING, {"role": "proposal"})
    assert (other.number, other.state) == (second, TrialState.COMPLETE)
    assert other.attributes == {"role": "proposal", "outcome": NOTES["outcome"]}


def test_a_trial_ends_once(either: Trials) -> None:
    number = either.create(NEW)

    assert either.end(number, TrialState.FAIL, {"failure": "first"}, None)
    assert not either.end(number, TrialState.COMPLETE, {"failure": "second", **NOTES}, VALUES)
    (trial,) = either.read(("failure", "outcome"))
    assert (trial.state, trial.attributes) == (TrialState.FAIL, {"failure": "first"})


def test_of_many_who_end_a_trial_one_succeeds(study: optuna.Study, url: str) -> None:
    writers = [another(study, url) for _ in range(4)]
    number = writers[0].create(NEW)

    def end(writer: int) -> bool:
        return writers[writer].end(number, TrialState.COMPLETE, {"winner": writer}, [float(writer), 0.0])

    with ThreadPoolExecutor(len(writers)) as threads:
        ended = list(threads.map(end, range(len(writers))))

    (trial,) = seen_by_optuna(study, url)
    assert ended.count(True) == 1
    assert trial.user_attrs["winner"] == ended.index(True)
    assert trial.values == [float(ended.index(True)), 0.0]


def test_many_writers_number_their_trials_without_gaps(study: optuna.Study, url: str) -> None:
    """Optuna's own writer is one of them."""
    writers = [another(study, url) for _ in range(4)]

    def write(writer: int) -> list[int]:
        return [writers[writer].create(NEW) for _ in range(8)]

    with ThreadPoolExecutor(5) as threads:
        alien = threads.submit(lambda: [study.ask(CHOICES).number for _ in range(8)])
        found = [number for numbers in threads.map(write, range(4)) for number in numbers]
        found += alien.result()

    assert sorted(found) == list(range(40))
    assert [trial.number for trial in seen_by_optuna(study, url)] == list(range(40))


def test_two_studies_of_a_database_number_their_own_trials(
    study: optuna.Study, trials: TrialTables, url: str
) -> None:
    other = optuna.create_study(storage=study._storage, directions=["maximize", "minimize"])

    assert (trials.create(NEW), another(other, url).create(NEW), trials.create(NEW)) == (0, 0, 1)
    optuna.delete_study(study_name=other.study_name, storage=study._storage)


class Death(Exception):
    """Stands for the end of the process: nothing after it runs."""


def die_at(engine: sqlalchemy.Engine, statement: int) -> None:
    """Let the given statement, counted from 0, be the last that is reached."""
    seen: list[str] = []

    @sqlalchemy.event.listens_for(engine, "before_cursor_execute")
    def count(_: object, __: object, text: str, *rest: object) -> None:
        seen.append(text)
        if len(seen) > statement:
            raise Death


def statements(engine: sqlalchemy.Engine) -> list[str]:
    seen: list[str] = []

    @sqlalchemy.event.listens_for(engine, "before_cursor_execute")
    def count(_: object, __: object, text: str, *rest: object) -> None:
        seen.append(text)

    return seen


@pytest.mark.parametrize("statement", range(5))
def test_a_writer_that_dies_leaves_no_part_of_a_trial(
    statement: int, study: optuna.Study, trials: TrialTables, url: str
) -> None:
    die_at(engine_of(trials), statement)

    with pytest.raises(Death):
        trials.create(NEW)
    assert seen_by_optuna(study, url) == []
    assert another(study, url).create(NEW) == 0


@pytest.mark.parametrize("statement", range(4))
def test_a_writer_that_dies_leaves_the_trial_running(
    statement: int, study: optuna.Study, trials: TrialTables, url: str
) -> None:
    number = trials.create(NEW)
    die_at(engine_of(trials), statement)

    with pytest.raises(Death):
        trials.end(number, TrialState.COMPLETE, NOTES, VALUES)
    (trial,) = seen_by_optuna(study, url)
    assert (trial.state, trial.values, trial.user_attrs) == (TrialState.RUNNING, None, dict(NEW.attributes))


def test_a_trial_takes_five_statements_to_begin_and_four_to_end(trials: TrialTables) -> None:
    seen = statements(engine_of(trials))
    number = trials.create(NEW)
    begun = len(seen)
    trials.end(number, TrialState.COMPLETE, NOTES, VALUES)

    assert (begun, len(seen) - begun) == (5, 4)


def test_an_end_that_was_not_finished_is_written_over(study: optuna.Study, trials: TrialTables, url: str) -> None:
    """Optuna's writer gives a trial its attributes one by one before its state."""
    number = trials.create(NEW)
    study._storage.set_trial_user_attr(study.trials[0]._trial_id, "outcome", "half")

    assert another(study, url).end(number, TrialState.COMPLETE, NOTES, VALUES)
    assert seen_by_optuna(study, url)[0].user_attrs == {**NEW.attributes, **NOTES}


def test_optuna_goes_on_with_a_study_that_was_written_here(study: optuna.Study, trials: TrialTables) -> None:
    trials.end(trials.create(NEW), TrialState.COMPLETE, NOTES, VALUES)
    trial = study.ask(CHOICES)
    study.tell(trial, [0.5, 2.0])

    assert (trial.number, trials.create(NEW)) == (1, 2)
    assert [trial.state for trial in study.trials] == [
        TrialState.COMPLETE,
        TrialState.COMPLETE,
        TrialState.RUNNING,
    ]


def test_tables_of_another_version_are_left_to_optuna(
    study: optuna.Study, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tables, "SCHEMAS", ("v9.9.9",))

    assert TrialTables.of(opened(url), study._study_id) is None
