"""Studies in places of odd names, in copied folders, and damaged ones: the right result or one clear line."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path

import pytest

from nas_attn.cli.main import main


@pytest.mark.parametrize("name", ["a?b", "a%20b", "50%", "a#b", "{x}", "a b", "a:b@c", "röntgen", "[red]"])
def test_a_study_is_read_and_searched_in_a_folder_of_any_name(tiny_study, name, monkeypatch, capsys, contents):
    place = tiny_study.folder / name
    place.mkdir()
    shutil.move(tiny_study.folder / "studies", place / "studies")
    study = str(place / "studies" / "tiny")

    assert main(["rank", study]) == 0
    assert main(["export", study, "-o", str(place / "best.yaml")]) == 0
    assert main(["report", study, "--no-panels", "-o", str(place / "r.html")]) == 0
    monkeypatch.chdir(place)
    more = [*tiny_study.arguments, "--trials", "11"]
    assert main(more) == 0
    assert "baseline" in capsys.readouterr().out
    assert [path.name for path in tiny_study.folder.iterdir()] == [name], "a file beside the folder"


@pytest.fixture
def copied(tiny_study) -> Path:
    """A copy of the tiny study under another name."""
    return Path(shutil.copytree("studies/tiny", "studies/copy"))


@pytest.mark.parametrize(
    "command", [["rank", "copy"], ["export", "copy", "-o", "x.yaml"], ["dashboard", "copy"], ["verify", "copy"]]
)
def test_a_copied_folder_says_which_study_it_holds(copied, refused, command):
    (line,) = refused(*command)

    assert line == (
        "studies/copy: holds the study 'tiny', not 'copy': the folder was copied or renamed; give it the name "
        "tiny again, or read the study where it is, as with: nas-attn rank tiny "
        "--storage sqlite:///studies/copy/study.db"
    )


def test_what_that_line_says_works(copied, capsys):
    assert main(["rank", "tiny", "--storage", "sqlite:///studies/copy/study.db"]) == 0
    assert "baseline" in capsys.readouterr().out


def test_no_second_study_is_begun_in_a_copied_folder(copied, tiny_study, refused, contents):
    before = contents(copied).keys()
    words = [word if word != "tiny" else "copy" for word in tiny_study.arguments]

    (line,) = refused(*words)
    assert line.startswith("studies/copy: holds the study 'tiny', not 'copy'")
    assert {path for path in contents(copied) if not path.endswith(("-shm", "-wal"))} == before


def attribute(key: str, value: str) -> str:
    return f"UPDATE study_user_attributes SET value_json = '{value}' WHERE key = '{key}'"


def of_trials(key: str, value: str) -> str:
    return f"UPDATE trial_user_attributes SET value_json = '{value}' WHERE key = '{key}'"


DAMAGES = {
    "no JSON": attribute("nas_attn:identity", '"{"'),
    "no mapping": attribute("nas_attn:identity", '"[]"'),
    "nothing in it": attribute("nas_attn:identity", '"{}"'),
    "a trial without its words": of_trials("evaluation", '"{}"'),
    "an outcome without its numbers": of_trials("outcome", '"{}"'),
    "no study": "DELETE FROM studies",
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_study_hides_no_other(tiny_study, damage, capsys):
    shutil.copytree("studies/tiny", "studies/broken")
    with sqlite3.connect("studies/broken/study.db") as connection:
        connection.execute("UPDATE studies SET study_name = 'broken'")
        connection.execute(damage)
    connection.close()

    assert main(["studies"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert any(line.startswith("tiny ") for line in lines)
    (told,) = (line for line in lines if line.startswith("cannot be read: "))
    assert "studies/broken" in told


def test_a_file_that_was_cut_short_hides_no_other(tiny_study, capsys):
    shutil.copytree("studies/tiny", "studies/broken")
    for beside in Path("studies/broken").glob("study.db-*"):
        beside.unlink()
    path = Path("studies/broken/study.db")
    path.write_bytes(path.read_bytes()[: 3 * 4096])

    assert main(["studies"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert any(line.startswith("tiny ") for line in lines)
    assert any(line.startswith("cannot be read: studies/broken") for line in lines)
