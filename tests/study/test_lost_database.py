"""A database that goes while it is searched: noticed within a trial, and nothing that was known is lost."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nas_attn.analysis import Ranking, rank
from nas_attn.cli.main import main
from nas_attn.config.settings import StudyRequest
from nas_attn.errors import LostStorageError, StudyError
from nas_attn.record import State, TrialRecord
from nas_attn.study import run
from nas_attn.study.run import StudyResult, run_study
from nas_attn.study.setup import preset as presets
from nas_attn.study.setup.find import open_study
from nas_attn.study.setup.preset import CPU_SYNTHETIC
from nas_attn.study.setup.rescue import import_study, read_rescued
from nas_attn.study.setup.resolve import Resolved, resolve
from nas_attn.study.workers.pool import InlinePool
from nas_attn.training.evaluation import LookupEvaluator

ASK = StudyRequest(
    study="s",
    space="unet_attention_small",
    device="cpu",
    workers=1,
    trials=14,
    image_size=16,
    base_channels=4,
    steps=200,
    precision="float32",
)
DATABASE = Path("studies/s/study.db")
AT = 8
"""So many trials have ended when the database goes."""


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(presets, "CPU_SYNTHETIC", replace(CPU_SYNTHETIC, n_train=4, n_val=2))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def resolved() -> Resolved:
    return resolve(ASK)


def searched(resolved: Resolved, listener: Callable[[Sequence[TrialRecord]], None]) -> StudyResult:
    pool = InlinePool(LookupEvaluator(resolved.settings.space))
    return run_study(resolved, listener, pool=nullcontext(pool))


def delete() -> None:
    DATABASE.unlink()


def delete_all() -> None:
    shutil.rmtree(DATABASE.parent)


def replace_by_another() -> None:
    with sqlite3.connect("other.db") as other:
        other.execute("CREATE TABLE things (name TEXT)")
    other.close()
    os.replace("other.db", DATABASE)


def replace_by_a_copy() -> None:
    shutil.copy(DATABASE, "copy.db")
    os.replace("copy.db", DATABASE)


def overwrite_by_another() -> None:
    with sqlite3.connect("other.db") as other:
        other.execute("CREATE TABLE things (name TEXT)")
    other.close()
    DATABASE.write_bytes(Path("other.db").read_bytes().ljust(1 << 20, b"\0"))


def truncate_to_nothing() -> None:
    os.truncate(DATABASE, 0)


def truncate_to_half() -> None:
    os.truncate(DATABASE, DATABASE.stat().st_size // 2)


def remove_its_log() -> None:
    DATABASE.with_name("study.db-wal").unlink()


GOES = {
    delete: "study.db: the database was deleted while it was in use",
    delete_all: "study.db: the database was deleted while it was in use",
    replace_by_another: "study.db: the database was replaced by another one",
    replace_by_a_copy: "study.db: the database was replaced by another one",
    overwrite_by_another: "study.db: the database was overwritten",
    truncate_to_nothing: "study.db: the database was cut short",
    truncate_to_half: "study.db: the database was cut short",
    remove_its_log: "study.db-wal: the log of the database was removed",
}


class Saboteur:
    """Lets the database go when so many trials have ended, and counts what is done afterwards."""

    def __init__(self, act: Callable[[], object], at: int = AT) -> None:
        self._act, self._at = act, at
        self.done = False
        self.n_later = 0
        self.known: list[TrialRecord] = []

    def __call__(self, records: Sequence[TrialRecord]) -> None:
        ended = sum(record.state is not State.RUNNING for record in records)
        self.known = list(records)
        self.n_later += self.done
        if ended == self._at and not self.done:
            self._act()
            self.done = True


@pytest.mark.parametrize("act", GOES, ids=lambda act: act.__name__)
def test_a_database_that_goes_is_noticed_within_a_trial_and_comes_back(
    act: Callable[[], object], resolved: Resolved
) -> None:
    undisturbed = searched(resolve(replace(ASK, study="whole")), lambda _: None)
    saboteur = Saboteur(act)
    with pytest.raises(LostStorageError) as caught:
        searched(resolved, saboteur)

    assert saboteur.n_later <= 1, "no further trial is begun than the one under way"
    (line,) = caught.value.problems
    assert line.startswith(f"studies/s/{GOES[act]}")
    (file,) = Path("studies/s").glob("rescued-*.json")
    assert f"were written to {file}; once the old database is out of the way" in line
    assert "brings them back, and the same command resumes" in line

    for left in Path("studies/s").glob("study.db*"):
        left.unlink()
    assert main(["import", str(file)]) == 0
    ended = [record for record in open_study("s").records() if record.state is not State.RUNNING]
    assert len(ended) >= AT
    assert ended == list(undisturbed.records[: len(ended)])
    assert searched(resolved, lambda _: None).records == undisturbed.records


def lose_the_last_trial() -> None:
    with sqlite3.connect(DATABASE) as database:
        database.execute("DELETE FROM trials WHERE number = (SELECT max(number) FROM trials)")
    database.close()


def lose_how_it_ended() -> None:
    with sqlite3.connect(DATABASE) as database:
        database.execute("UPDATE trials SET state = 'RUNNING' WHERE number = 2")
    database.close()


@pytest.mark.parametrize(
    "goes",
    [delete, replace_by_a_copy, lose_the_last_trial, lose_how_it_ended],
    ids=lambda one: one.__name__,
)
def test_a_database_that_goes_after_the_last_trial_is_noticed_before_the_search_ends(
    goes: Callable[[], None], resolved: Resolved
) -> None:
    gone = []

    def go_at_the_end(records: Sequence[TrialRecord]) -> None:
        if len(records) == ASK.trials and not gone and all(one.state is not State.RUNNING for one in records):
            gone.append(goes())

    with pytest.raises(LostStorageError, match=f"all {ASK.trials} trials that are known here were written to"):
        searched(resolved, go_at_the_end)
    (file,) = DATABASE.parent.glob("rescued-*.json")
    assert all(one.state is State.COMPLETE for one in read_rescued(file).records)


def test_a_database_that_goes_while_the_trials_are_ranked_is_noticed(
    resolved: Resolved, monkeypatch: pytest.MonkeyPatch
) -> None:
    def rank_and_lose(records: Sequence[TrialRecord], **given: Any) -> Ranking:
        delete()
        return rank(records, **given)

    monkeypatch.setattr(run, "rank", rank_and_lose)
    with pytest.raises(LostStorageError, match=f"all {ASK.trials} trials that are known here were written to"):
        searched(resolved, lambda _: None)


def test_an_older_copy_that_was_put_back_is_brought_up_to_date(resolved: Resolved) -> None:
    """A backup of some trials before is a whole database of the same study."""
    searched(resolve(replace(ASK, trials=4)), lambda _: None)
    with sqlite3.connect(DATABASE) as database, sqlite3.connect("backup.db") as backup:
        database.backup(backup)
    for connection in (database, backup):
        connection.close()
    with pytest.raises(LostStorageError, match="replaced by another one"):
        searched(resolved, Saboteur(lambda: shutil.copy("backup.db", "b.db") and os.replace("b.db", DATABASE)))
    for left in ("study.db-wal", "study.db-shm"):
        DATABASE.with_name(left).unlink(missing_ok=True)
    assert len(open_study("s").records()) == 4
    (file,) = Path("studies/s").glob("rescued-*.json")

    imported = import_study(file)
    assert (imported.n_trials, imported.n_new) == (AT, AT - 4)
    assert import_study(file).n_new == 0, "a second time there is nothing to do"


def test_trials_that_others_have_deleted_are_missed(resolved: Resolved) -> None:
    def clean_up() -> None:
        with sqlite3.connect(DATABASE) as database:
            database.execute("DELETE FROM trials WHERE number >= 5")
        database.close()

    with pytest.raises(LostStorageError, match=r"the storage has lost trials.*all 8 trials.*rescued-"):
        searched(resolved, Saboteur(clean_up))


def test_a_study_that_was_deleted_is_kept(resolved: Resolved) -> None:
    def delete_study() -> None:
        with sqlite3.connect(DATABASE) as database:
            for table in ("trials", "studies"):
                database.execute(f"DELETE FROM {table}")
        database.close()

    with pytest.raises(LostStorageError, match=r"all 8 trials"):
        searched(resolved, Saboteur(delete_study))


def test_where_nothing_can_be_written_that_is_told(resolved: Resolved, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("nas_attn.study.setup.rescue.write_rescued", full)
    with pytest.raises(LostStorageError, match=r"its 8 trials cannot be written to studies/s: No space left"):
        searched(resolved, Saboteur(delete))


def test_the_command_ends_with_one_line_and_exit_code_2(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With worker processes, whose trial is under way meanwhile."""
    saboteur = Saboteur(delete, at=2)
    from nas_attn.cli import _progress

    update = _progress.SearchProgress.__call__
    monkeypatch.setattr(
        _progress.SearchProgress, "__call__", lambda self, records: (update(self, records), saboteur(records))
    )
    words = "search --study s --space unet_attention_small --image-size 16 --base-channels 4 --steps 4 --trials 6"
    status = main(
        [*words.split(), "--batch-size", "2", "--device", "cpu", "--workers", "1", "--precision", "float32"]
    )

    (line,) = capsys.readouterr().err.splitlines()
    assert status == 2
    assert line.startswith(
        "nas-attn: error: studies/s/study.db: the database was deleted while it was in use; all "
    )
    (file,) = Path("studies/s").glob("rescued-*.json")
    records = json.loads(file.read_text())["records"]
    assert len([one for one in records if one["state"] == "complete"]) >= 2
    assert not DATABASE.exists(), "no empty one was put in its place"


def test_a_study_can_be_imported_under_another_name(resolved: Resolved) -> None:
    with pytest.raises(LostStorageError):
        searched(resolved, Saboteur(delete))
    (file,) = Path("studies/s").glob("rescued-*.json")

    assert main(["import", str(file), "--study", "again"]) == 0
    assert main(["import", str(file), "--study", "server", "--storage", "sqlite:///all.db"]) == 0
    again, server = open_study("again").records(), open_study("server", "sqlite:///all.db").records()
    assert len(again) == AT
    assert again == server


def test_another_study_is_not_mixed_with_an_imported_one(resolved: Resolved) -> None:
    with pytest.raises(LostStorageError):
        searched(resolved, Saboteur(delete))
    (file,) = Path("studies/s").glob("rescued-*.json")
    searched(resolve(replace(ASK, seed=3, trials=3)), lambda _: None)

    with pytest.raises(StudyError, match=r"seed was 3 and is now 0\n.*holds another study 's': move it away"):
        import_study(file)


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "null", "{}", '{"format": 2}', "[" * 100_000, '{"format": 1, "records": [{"number": 0}]}'],
    ids=range(8),
)
def test_a_file_that_is_another_thing_is_refused_in_one_line(
    text: str, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "file.json").write_text(text)

    assert main(["import", "file.json"]) == 2
    assert capsys.readouterr().err == (
        "nas-attn: error: file.json: not a rescue file of this version; give the file rescued-TIME-NUMBER.json "
        "in the study's folder\n"
    )
