"""A study's folder: its files, its lock, finding it by name."""

from __future__ import annotations

from pathlib import Path

import pytest

from nas_attn.errors import StudyError
from nas_attn.study.setup.find import find_folder, folder_of, study_names
from nas_attn.study.setup.folder import StudyFolder


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def made(name: str) -> StudyFolder:
    folder = StudyFolder.of(name)
    folder.make()
    (folder.path / "study.db").touch()
    return folder


def test_a_study_lies_in_studies() -> None:
    folder = made("nuclei")

    assert str(folder.path) == "studies/nuclei"
    assert folder.default_url == "sqlite:///studies/nuclei/study.db"
    assert folder.name == "nuclei"


def test_only_one_search_at_a_time() -> None:
    folder = made("nuclei")
    with (
        folder.locked(),
        pytest.raises(StudyError, match="studies/nuclei: another process searches this study"),
        StudyFolder.of("nuclei").locked(),
    ):
        pass
    with StudyFolder.of("nuclei").locked():
        pass


def test_a_lock_ends_with_an_error() -> None:
    folder = made("nuclei")
    with pytest.raises(KeyboardInterrupt), folder.locked():
        raise KeyboardInterrupt
    with folder.locked():
        pass


def test_two_studies_do_not_wait_for_each_other() -> None:
    with made("one").locked(), made("two").locked():
        pass


def test_a_folder_that_cannot_be_made_is_named(here: Path) -> None:
    (here / "studies").write_text("a file")

    with pytest.raises(StudyError, match="studies/nuclei: the study's folder cannot be made: "):
        StudyFolder.of("nuclei").make()


def test_studies_are_found_by_name_by_path_and_from_within(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made("nuclei")
    (here / "studies" / "notes").mkdir()

    assert study_names() == ("nuclei",)
    assert find_folder("nuclei").name == "nuclei"
    assert find_folder("studies/nuclei/").name == "nuclei"
    assert find_folder(str(here / "studies" / "nuclei")).name == "nuclei"
    monkeypatch.chdir(here / "studies" / "nuclei")
    assert find_folder(".").name == "nuclei"


def test_an_unknown_study_is_told_the_nearest_name() -> None:
    made("nuclei")

    with pytest.raises(StudyError, match=r"no study 'nucleii' in studies/; did you mean 'nuclei'\?"):
        find_folder("nucleii")


def test_without_studies_there_are_no_names() -> None:
    assert study_names() == ()
    with pytest.raises(StudyError, match=r"no study 'x' in studies/; known: \(none\)"):
        find_folder("x")


def test_a_folder_here_of_the_studys_name_is_not_the_studys(here: Path) -> None:
    made("nuclei")
    (here / "nuclei").mkdir()
    (here / "nuclei" / "study.db").touch()
    (here / "other").mkdir()

    assert find_folder("nuclei").path == folder_of("nuclei").path == Path("studies/nuclei")
    assert folder_of("other").path == Path("studies/other"), "it may lie in another storage"
    for path in ("./nuclei", "nuclei/", str(here / "nuclei")):
        assert find_folder(path).path.resolve() == folder_of(path).path.resolve() == here / "nuclei"


def test_a_study_in_the_current_folder_has_to_be_called_by_a_path(here: Path) -> None:
    made("nuclei")
    (here / "studies" / "nuclei").rename(here / "moved")

    with pytest.raises(StudyError, match=f"no study 'moved' in studies/; for the folder here say {here}/moved"):
        find_folder("moved")
    assert find_folder("./moved").name == "moved"


def test_a_path_may_begin_at_home_or_above(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made("nuclei")
    monkeypatch.setenv("HOME", str(here))
    assert find_folder("~/studies/nuclei").path == here / "studies" / "nuclei"
    (here / "studies" / "nuclei" / "logs").mkdir()
    monkeypatch.chdir(here / "studies" / "nuclei" / "logs")
    assert find_folder("..").name == "nuclei"
