"""Data and a study's folder: beside each other in every case, however they are named or linked."""

from __future__ import annotations

from pathlib import Path

import pytest

from nas_attn.errors import StudyError
from nas_attn.study.setup.folder import StudyFolder
from nas_attn.study.setup.own_files import check_apart


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two data sets and a study."""
    monkeypatch.chdir(tmp_path)
    for folder in ("data/images", "data/masks", "studies/x/logs", "studies/mine/images", "studies/mine/masks"):
        (tmp_path / folder).mkdir(parents=True)
    return tmp_path


@pytest.mark.parametrize("study", ["x", "mine", "y"])
def test_data_beside_the_study_are_allowed(study: str) -> None:
    check_apart("data", StudyFolder.of(study))


@pytest.mark.parametrize("data", ["synthetic", "clips"])
def test_built_in_data_lie_nowhere(data: str, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (here / "studies" / "synthetic").mkdir()
    (here / "studies" / "clips").mkdir()
    monkeypatch.chdir(here / "studies")
    check_apart(data, StudyFolder(Path(data)))


def test_what_the_study_links_to_may_be_the_data(here: Path) -> None:
    """Nothing is written through such a link: its name is none of ours."""
    (here / "studies" / "x" / "images").symlink_to(here / "data" / "images")
    check_apart("data", StudyFolder.of("x"))


def refusal(data: str, study: str) -> str:
    with pytest.raises(StudyError) as refused:
        check_apart(data, StudyFolder.of(study))
    (problem,) = refused.value.problems
    return problem


MEND = "; keep the two apart: take another --study, or another folder for the data"


def test_the_study_may_not_be_its_data(here: Path) -> None:
    assert refusal("studies/mine", "mine") == (f"--data studies/mine: is the study's folder, studies/mine{MEND}")
    assert "is the study's folder" in refusal(str(here / "studies" / "x" / ".." / "mine"), "mine")


def test_the_data_may_not_lie_in_the_study(here: Path) -> None:
    (here / "studies" / "x" / "logs" / "data").mkdir()
    assert refusal("studies/x/logs/data", "x").startswith(
        "--data studies/x/logs/data: lies in the study's folder, "
    )


def test_the_study_may_not_lie_in_the_data_even_where_it_is_yet_to_be_made(here: Path) -> None:
    for study in ("x", "y"):
        assert refusal(".", study).startswith(f"--data .: contains the study's folder, studies/{study};")


def test_links_are_followed_from_both_sides(here: Path) -> None:
    (here / "studies" / "linked").symlink_to(here / "data")
    assert refusal("data", "linked") == (
        f"--data data: is the study's folder, studies/linked (which is {here / 'data'}){MEND}"
    )
    (here / "link").symlink_to(here / "studies" / "x")
    assert "--data link: is the study's folder, studies/x;" in refusal("link", "x")
    (here / "other").mkdir()
    (here / "other" / "masks").symlink_to(here / "studies" / "x" / "logs")
    assert "--data other: its masks/ lies in the study's folder, studies/x;" in refusal("other", "x")
    (here / "studies" / "deep").symlink_to(here / "data" / "images")
    assert "--data data: contains the study's folder, studies/deep (which is" in refusal("data", "deep")


def test_a_link_that_leads_nowhere_or_to_itself_is_nowhere(here: Path) -> None:
    (here / "studies" / "gone").symlink_to(here / "nowhere")
    (here / "studies" / "loop").symlink_to("loop")
    for study in ("gone", "loop"):
        check_apart("data", StudyFolder.of(study))
    check_apart("missing", StudyFolder.of("x"))
