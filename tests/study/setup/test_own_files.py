"""What a search writes anew in its study's folder: its own files, and nobody else's."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import pytest

from nas_attn.config.settings import StudyRequest
from nas_attn.errors import StudyError
from nas_attn.record import TrialRecord
from nas_attn.study.database.ledger import Ledger
from nas_attn.study.run import run_study
from nas_attn.study.setup import preset as presets
from nas_attn.study.setup.begin import existing
from nas_attn.study.setup.folder import StudyFolder
from nas_attn.study.setup.join import JoinRequest, resolve_joined
from nas_attn.study.setup.own_files import check_storage
from nas_attn.study.setup.preset import CPU_SYNTHETIC
from nas_attn.study.setup.resolve import resolve
from nas_attn.study.setup.study_file import settings_mark
from nas_attn.study.workers.pool import InlinePool
from nas_attn.training.evaluation import LookupEvaluator

ASK = StudyRequest(
    study="s",
    space="unet_attention_small",
    device="cpu",
    workers=1,
    trials=2,
    image_size=16,
    base_channels=4,
    steps=9,
)
ELSEWHERE = "sqlite:///elsewhere.db"
SERVER = "postgresql://me:secret@host/studies"
FOLDER = StudyFolder(Path("studies/s"))


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(presets, "CPU_SYNTHETIC", replace(CPU_SYNTHETIC, n_train=4, n_val=2))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def listener(records: Sequence[TrialRecord]) -> None:
    """Does not care."""


def search(request: StudyRequest = ASK) -> None:
    resolved = resolve(request)
    run_study(resolved, listener, pool=nullcontext(InlinePool(LookupEvaluator(resolved.settings.space))))


def texts(folder: Path) -> dict[str, bytes]:
    """All files but databases, into which SQLite brings its log whenever a connection ends."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file() and ".db" not in path.name)
    return {str(path): path.read_bytes() for path in files}


def refusals(here: Path, request: StudyRequest = ASK) -> tuple[str, ...]:
    """Of a search, which changes nothing; the same from the command's look ahead as from the search itself."""
    before = texts(here)
    with pytest.raises(StudyError) as looked:
        existing(resolve(request))
    with pytest.raises(StudyError) as searched:
        search(request)
    assert searched.value.problems == looked.value.problems
    assert texts(here) == before
    return searched.value.problems


@pytest.mark.parametrize("content", [b"version: 1\ntrials: 5\n", b"", b"\xff\xfe", b"# mine\n"])
def test_files_of_the_user_are_named_together_and_kept(content: bytes, here: Path) -> None:
    FOLDER.make()
    names = ("study.yaml", "space.yaml", "best.yaml")
    for name in names:
        (FOLDER.path / name).write_bytes(content)

    problems = refusals(here)
    assert [problem.partition(":")[0] for problem in problems] == [f"studies/s/{name}" for name in names]
    assert problems[0] == (
        "studies/s/study.yaml: was not written by this study's search, which would replace it; move it elsewhere, "
        "or take another --study"
    )


def test_a_link_to_a_file_of_the_user_is_like_the_file(here: Path) -> None:
    FOLDER.make()
    (here / "mine.yaml").write_text("mine")
    FOLDER.space.symlink_to(here / "mine.yaml")
    FOLDER.best.symlink_to(here / "missing.yaml")

    assert len(refusals(here)) == 2


def test_what_a_search_wrote_it_writes_anew(here: Path) -> None:
    search()
    best = FOLDER.best.read_bytes()
    search(replace(ASK, trials=12))
    assert FOLDER.best.read_bytes() != best


def test_a_search_that_was_killed_before_its_study_existed_begins(here: Path) -> None:
    search()
    for path in [FOLDER.best, *FOLDER.path.glob("study.db*")]:
        path.unlink()
    search(replace(ASK, seed=1))
    assert "seed: 1" in FOLDER.settings.read_text()


def test_files_from_before_the_marks_are_the_searchs_own(here: Path) -> None:
    search()
    for path in (FOLDER.settings, FOLDER.space):
        lines = path.read_text().splitlines(keepends=True)
        path.write_text("".join(line for line in lines if "Written by nas-attn" not in line))
    search(replace(ASK, trials=3))
    for path in [FOLDER.best, *FOLDER.path.glob("study.db*")]:
        path.unlink()
    search(replace(ASK, seed=1))


def test_a_best_architecture_that_was_changed_by_hand_is_kept(here: Path) -> None:
    search()
    text = FOLDER.best.read_text()
    FOLDER.best.write_text(text.replace("bottleneck: {kind: none", "bottleneck: {kind: se", 1))
    assert FOLDER.best.read_text() != text

    assert [problem.partition(":")[0] for problem in refusals(here)] == ["studies/s/best.yaml"]


def test_a_best_architecture_of_another_study_is_kept(here: Path) -> None:
    search(replace(ASK, study="t"))
    search()
    shutil.copy("studies/t/best.yaml", FOLDER.best)
    (problem,) = refusals(here, replace(ASK, trials=3))
    assert problem.startswith("studies/s/best.yaml: was not written by this study's search")


def test_the_best_of_a_study_whose_database_is_gone_is_kept(here: Path) -> None:
    search()
    for path in FOLDER.path.glob("study.db*"):
        path.unlink()
    (problem,) = refusals(here)
    assert problem.startswith("studies/s/best.yaml: ")


@pytest.mark.parametrize("mark", [True, False], ids=["marked", "before marks"])
def test_a_study_of_the_same_name_in_another_storage_is_refused(mark: bool, here: Path) -> None:
    search()
    search(replace(ASK, study="t", storage=ELSEWHERE))
    if not mark:
        for settings in (FOLDER.settings, Path("studies/t/study.yaml")):
            settings.write_text(settings.read_text().replace("# Written by nas-attn", "# "))
    assert refusals(here, replace(ASK, storage=ELSEWHERE)) == (
        "studies/s: holds the files of the study in its study.db, which the study in elsewhere.db would "
        "replace; use another --study, or that --storage",
    )
    (problem,) = refusals(here, replace(ASK, study="t"))
    assert problem.startswith(
        "studies/t: holds the files of the study in elsewhere.db, which the study in its study.db"
    )
    search(replace(ASK, trials=3))
    search(replace(ASK, study="t", storage=f"sqlite:///{here}/elsewhere.db", trials=3))


def test_a_worker_of_the_same_name_in_another_storage_is_refused(here: Path) -> None:
    search(replace(ASK, storage=ELSEWHERE))
    FOLDER.path.rename(here / "kept")
    search()
    before = texts(FOLDER.path)
    with pytest.raises(StudyError, match=r"studies/s: holds the files of the study in its study\.db"):
        resolve_joined(JoinRequest("s", ELSEWHERE, device="cpu", workers=1))
    assert texts(FOLDER.path) == before


def test_the_database_alone_says_whose_the_folder_is(here: Path) -> None:
    search()
    FOLDER.settings.unlink()
    (problem,) = refusals(here, replace(ASK, storage=ELSEWHERE))
    assert "holds the files of the study in its study.db" in problem


@pytest.mark.parametrize(
    ("url", "is_same"),
    [
        (SERVER, True),
        ("postgres://host/studies", True),
        ("postgresql+psycopg://other:word@host/studies", True),
        ("postgresql://me@host/other", False),
        ("postgresql://me@host:5433/studies", False),
        ("postgresql://me@elsewhere/studies", False),
        ("mysql://me@host/studies", False),
        (ELSEWHERE, False),
        (FOLDER.default_url, False),
    ],
)
@pytest.mark.parametrize("mark", [True, False], ids=["marked", "before marks"])
def test_a_server_is_known_by_its_host_and_database(url: str, is_same: bool, mark: bool) -> None:
    FOLDER.make()
    line = f"{settings_mark(SERVER, FOLDER)}\n" if mark else ""
    assert "secret" not in line
    FOLDER.settings.write_text(f"# nas-attn search --config {FOLDER.settings} --storage URL\n{line}version: 1\n")

    if is_same or (not mark and not url.startswith("sqlite")):  # it does not say which server it was
        check_storage(FOLDER, url, None)
    else:
        with pytest.raises(StudyError, match="holds the files of the study in "):
            check_storage(FOLDER, url, None)


def test_a_server_may_have_another_name_on_another_machine(here: Path) -> None:
    """Then the study is known by what was asked when it was begun."""
    search()
    ledger = Ledger.open(FOLDER.default_url, "s")
    text = FOLDER.settings.read_text().replace(
        "stored in this folder", "stored in postgresql://me:***@host/studies"
    )
    FOLDER.settings.write_text(text)

    check_storage(FOLDER, "postgresql://me@127.0.0.1/studies", ledger)
    for other_text, url in (
        (text, ELSEWHERE),
        (text.replace("steps: 9", "steps: 8"), "postgresql://127.0.0.1/studies"),
    ):
        FOLDER.settings.write_text(other_text)
        with pytest.raises(StudyError, match="holds the files of the study in postgresql://"):
            check_storage(FOLDER, url, ledger)


def test_a_folder_that_was_moved_stays_its_studys(here: Path) -> None:
    search()
    FOLDER.path.rename(here / "s")
    check_storage(StudyFolder(here / "s"), f"sqlite:///{here}/s/study.db", None)


def test_a_database_of_another_program_is_refused_and_kept(here: Path) -> None:
    import sqlite3

    FOLDER.make()
    connection = sqlite3.connect(FOLDER.path / "study.db")
    connection.execute("CREATE TABLE visits (url TEXT)")
    connection.close()

    before = (FOLDER.path / "study.db").read_bytes()

    assert refusals(here) == ("studies/s/study.db: the database of another program; name another file",)
    with pytest.raises(StudyError, match="the database of another program"):
        Ledger.open(FOLDER.default_url, "s")
    assert (FOLDER.path / "study.db").read_bytes() == before
