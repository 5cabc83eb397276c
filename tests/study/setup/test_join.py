"""Several processes on one study: the same trials as one alone, each evaluated once."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import optuna
import pytest

from nas_attn.budget import Budget
from nas_attn.config.settings import StudyRequest
from nas_attn.errors import StudyError
from nas_attn.models.placement import Placement
from nas_attn.record import Outcome, State, TrialRecord
from nas_attn.strategy.settings import Plan
from nas_attn.study.database.ledger import Ledger
from nas_attn.study.run import run_joined, run_study
from nas_attn.study.setup import join
from nas_attn.study.setup import preset as presets
from nas_attn.study.setup.begin import as_new, begin_or_go_on
from nas_attn.study.setup.folder import StudyFolder
from nas_attn.study.setup.join import JoinRequest, resolve_joined
from nas_attn.study.setup.preset import CPU_SYNTHETIC
from nas_attn.study.setup.resolve import Resolved, resolve
from nas_attn.study.workers.pool import InlinePool
from nas_attn.training.evaluation import LookupEvaluator

ASK = StudyRequest(
    study="s",
    space="unet_attention_small",
    strategy="random",
    device="cpu",
    workers=1,
    parallel=4,
    trials=24,
    image_size=16,
    base_channels=4,
    steps=200,
    precision="float32",
)
HERE = JoinRequest("s", device="cpu", workers=1)


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(presets, "CPU_SYNTHETIC", replace(CPU_SYNTHETIC, n_train=4, n_val=2))
    monkeypatch.chdir(tmp_path)
    return tmp_path


class Counting:
    """Counts what it is asked."""

    def __init__(self, evaluator: LookupEvaluator) -> None:
        self.evaluator = evaluator
        self.asked: Counter[tuple[Placement, Budget, int]] = Counter()

    def __call__(self, placement: Placement, budget: Budget, seed: int) -> Outcome:
        self.asked[placement, budget, seed] += 1
        return self.evaluator(placement, budget, seed)


def listener(records: Sequence[TrialRecord]) -> None:
    """Does not care."""


def begun(request: StudyRequest = ASK) -> Resolved:
    """A study without trials."""
    resolved = resolve(request)
    folder = StudyFolder.of("s")
    folder.make()
    begin_or_go_on(resolved, folder)
    return resolved


def essence(records: Sequence[TrialRecord]) -> list[tuple[object, ...]]:
    return [
        (one.number, one.placement, one.budget, one.seed, one.role, one.outcome and one.outcome.score)
        for one in records
    ]


def searched(request: StudyRequest = ASK) -> tuple[TrialRecord, ...]:
    resolved = resolve(request)
    pool = InlinePool(LookupEvaluator(resolved.settings.space))
    return run_study(resolved, listener, pool=nullcontext(pool)).records


def test_workers_do_a_study_that_nobody_searches(here: Path) -> None:
    begun()
    resolved, folder, ledger = resolve_joined(HERE)
    pool = InlinePool(LookupEvaluator(resolved.settings.space))
    joined = run_joined(resolved, folder, ledger, listener, pool=nullcontext(pool))
    os.rename("studies", "joined")

    assert essence(joined) == essence(searched())


def test_a_search_and_three_workers_share_the_trials_of_one_alone(here: Path) -> None:
    resolved = begun()
    counting = [Counting(LookupEvaluator(resolved.settings.space, seconds=0.01)) for _ in range(4)]

    def search(index: int) -> tuple[TrialRecord, ...]:
        pool = nullcontext(InlinePool(counting[index]))
        if not index:
            return run_study(resolved, listener, pool=pool).records
        joined, folder, ledger = resolve_joined(HERE)
        return run_joined(joined, folder, ledger, listener, pool=pool)

    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(search, range(4)))
    os.rename("studies", "together")

    alone = essence(searched())
    assert [essence(records) for records in found] == [alone] * 4
    asked = sum((one.asked for one in counting), Counter())
    assert set(asked.values()) == {1}
    assert len(asked) == 24
    assert sum(bool(one.asked) for one in counting) > 1, "the work was shared"


def test_all_that_a_worker_needs_is_in_the_storage(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (here / "own.yaml").write_text(
        "version: 1\nname: own\ndescription: d\nnetwork: {family: unet, depth: 2, base_channels: 4}\n"
        "choices:\n  skip: [none, se, gate]\n",
        encoding="utf-8",
    )
    url = f"sqlite:///{here / 'shared.db'}"
    first = begun(replace(ASK, space="own.yaml", storage=url, trials=6))
    (here / "own.yaml").unlink()
    elsewhere = here / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    resolved, folder, ledger = resolve_joined(replace(HERE, storage=url))
    pool = InlinePool(LookupEvaluator(resolved.settings.space))
    records = run_joined(resolved, folder, ledger, listener, pool=nullcontext(pool))

    assert resolved.settings.identity() == first.settings.identity()
    assert len(records) == 6
    assert all(one.state is State.COMPLETE for one in records)
    assert (elsewhere / "studies" / "s" / "space.yaml").is_file()


def test_other_data_are_refused_with_the_difference(shared_data: Path, here: Path) -> None:
    nerves, nuclei = (str(shared_data / "mini" / name) for name in ("usgra_nerves", "dsb2018_nuclei"))
    begun(replace(ASK, data=nerves, longest_side=48))

    with pytest.raises(StudyError) as caught:
        resolve_joined(replace(HERE, data=nuclei))
    assert any("data fingerprint was" in problem for problem in caught.value.problems)


def test_data_that_are_not_here_are_asked_for(shared_data: Path, here: Path) -> None:
    folder = here / "data"
    folder.symlink_to(shared_data / "mini" / "usgra_nerves")
    url = f"sqlite:///{here / 'shared.db'}"
    begun(replace(ASK, data=str(folder), longest_side=48, storage=url))
    study = optuna.load_study(study_name="s", storage=url)
    context = json.loads(study.user_attrs["nas_attn:context"])
    context["request"]["data"] = "/nowhere/images"
    study.set_user_attr("nas_attn:context", json.dumps(context))

    with pytest.raises(
        StudyError, match=r"/nowhere/images, which is not a folder here; say where .* --data FOLDER"
    ):
        resolve_joined(replace(HERE, storage=url))
    assert resolve_joined(replace(HERE, storage=url, data=str(folder)))[0].settings.data_name


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"request": None}, "lacks what workers need"),
        ({"request": {"study": "s", "sharpness": 3}}, "settings unknown here: sharpness"),
    ],
    ids=["older", "newer"],
)
def test_a_study_of_another_version_is_refused(changes: dict[str, object], words: str) -> None:
    begun()
    study = optuna.load_study(study_name="s", storage="sqlite:///studies/s/study.db")
    context = {**json.loads(study.user_attrs["nas_attn:context"]), "version": "0.0.1", **changes}
    study.set_user_attr("nas_attn:context", json.dumps(context))

    with pytest.raises(StudyError, match=rf"{words}; it was begun by nas-attn 0\.0\.1, and this is 0\.1"):
        resolve_joined(HERE)


def test_a_difference_names_the_version_that_began_the_study() -> None:
    begun()
    study = optuna.load_study(study_name="s", storage="sqlite:///studies/s/study.db")
    context = {**json.loads(study.user_attrs["nas_attn:context"]), "version": "0.0.1"}
    study.set_user_attr("nas_attn:context", json.dumps(context))

    with pytest.raises(StudyError, match=r"seed was 0 and is now 1") as caught:
        searched(replace(ASK, seed=1))
    assert "(it was begun by nas-attn 0.0.1, and this is" in caught.value.problems[-1]


def test_as_new_takes_the_first_name_that_is_free_or_the_same() -> None:
    begun()
    other, third = (resolve(replace(ASK, seed=seed)) for seed in (1, 2))

    assert as_new(resolve(ASK)).settings.study == "s"
    assert as_new(other).settings.study == "s-2"
    renamed = as_new(other)
    folder = StudyFolder.of("s-2")
    folder.make()
    begin_or_go_on(renamed, folder)
    assert as_new(other).request.study == "s-2", "the same command resumes"
    assert as_new(third).settings.study == "s-3"


def test_a_study_that_was_not_begun_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(join, "_LOOK_SECONDS", 0.1)
    with pytest.raises(StudyError, match="there is no study 's'"):
        resolve_joined(replace(HERE, wait_seconds=0.3))
    with ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(resolve_joined, replace(HERE, wait_seconds=60))
        begun()
        assert waiting.result()[2].name == "s"


def test_a_study_that_grows_is_followed_by_those_who_search_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """The number of trials decides who is a finalist, so all have to know the same one."""
    grown = essence(searched(replace(ASK, trials=40)))
    os.rename("studies", "grown")
    begun()
    resolved, folder, ledger = resolve_joined(HERE)
    told = False

    def grow(records: Sequence[TrialRecord]) -> None:
        nonlocal told
        if len(records) == 9 and not told:
            told = True
            Ledger.open("sqlite:///studies/s/study.db", "s").write_plan(Plan(40, 4))

    pool = InlinePool(LookupEvaluator(resolved.settings.space))
    records = run_joined(resolved, folder, ledger, grow, pool=nullcontext(pool))

    assert essence(records) == grown


def test_what_another_has_ended_meanwhile_is_not_written_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """As after a long stop, when the trial was given to another."""
    resolved = begun()
    other = Ledger.open("sqlite:///studies/s/study.db", "s")
    evaluator = LookupEvaluator(resolved.settings.space)

    def late(placement: Placement, budget: Budget, seed: int) -> Outcome:
        outcome = evaluator(placement, budget, seed)
        for record in other.records():
            if record.number == 3 and record.state is State.RUNNING:
                assert other.complete(record, outcome, "macs", "another")
        return outcome

    records = run_study(resolved, listener, pool=nullcontext(InlinePool(late))).records

    assert records[3].worker == "another"
    assert [one.number for one in records] == list(range(24))


SOAK = Path(__file__).parents[1] / "soak.py"


@pytest.mark.parametrize(
    ("seconds", "server"),
    [
        pytest.param("6", None, id="seconds"),
        pytest.param("90", None, id="SQLite", marks=pytest.mark.slow),
        pytest.param("90", "postgresql", id="PostgreSQL", marks=pytest.mark.slow),
        pytest.param("60", "mariadb", id="MariaDB", marks=pytest.mark.slow),
    ],
)
def test_a_study_under_fire_ends_as_an_undisturbed_one(seconds: str, server: str | None) -> None:
    few = ["--trials", "40"] if seconds == "6" else []
    arguments = ["--seconds", seconds, *few, *(["--server", server] if server else [])]
    root = str(Path(__file__).parents[3])
    done = subprocess.run(
        [sys.executable, str(SOAK), *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": root, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["trials"] == (40 if seconds == "6" else round(8 * float(seconds)))


@pytest.mark.slow
def test_clocks_that_jump_by_hours_change_nothing() -> None:
    """Those of all processes, as the system shows them; what measures time goes on."""
    if shutil.which("cc") is None:
        pytest.skip("there is no C compiler")
    done = subprocess.run(
        [sys.executable, str(SOAK), "--seconds", "60", "--trials", "240", "--clock"],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[3]), "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    assert sum(json.loads(done.stdout)["faults"]["jump"].values()) > 0
