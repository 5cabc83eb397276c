"""Every verb on data, classes, files and studies whose names are markup, HTML or steer a terminal."""

from __future__ import annotations

import contextlib
import io
import json
import re
import shutil
import sqlite3
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nas_attn.cli.main import VERBS, main
from nas_attn.record import State
from nas_attn.study.setup.find import open_study
from nas_attn.study.setup.rescue import Rescued, write_rescued

DATA = "[/x][red] :bomb: <b>&amp; %s {x}"
CLASSES = ("[/red]back", "<img src=x onerror=alert(1)> [link=file:///]", "=cmd|' /C calc'!A0")
IMAGES = ("[i]<u>&'\".png", "\x1b[2J\x1b]0;title\x07b.png", ":bomb:[bold].png", "a?b%20c#d.png")
REASON = "[/x]\x1b[2J :bomb: <b>"
DATA_FOLDER, RUN = "data[/y]<i>", "run[/y]"
"""Folders within folders, so that a closing tag stands in their paths."""
ESCAPE = re.compile(r"\x1b|\x07|\x9b")


def data_folder(folder: Path) -> Path:
    """Images of hostile names, with their masks."""
    random = np.random.default_rng(0)
    for split in ("train", "val", "test"):
        for name in IMAGES:
            for part, values in (
                ("images", random.integers(0, 256, (16, 16, 3))),
                ("masks", np.arange(256).reshape(16, 16) % 3),
            ):
                path = folder / part / split / f"{split}{name}"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(values.astype(np.uint8)).save(path, format="PNG")
    (folder / "dataset.yaml").write_text(json.dumps({"name": DATA, "classes": CLASSES}))
    return folder


@pytest.fixture(scope="module")
def world_made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A folder with a study on such data; what its search has printed."""
    from tests.cli.conftest import TINY, search_here

    folder = tmp_path_factory.mktemp("hostile")
    printed = io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(printed):
        patch.chdir(folder)
        search_here(patch)
        data_folder(Path(DATA_FOLDER))
        more = ("--data", DATA_FOLDER, "--study", "hostile", "--trials", "9", "--strategy", "random")
        assert main(["search", *TINY, *more]) == 0
        rows = json.loads(said("rank", "hostile", "--json"))
        winner = next(row["placement_id"] for row in rows if set(row["placement"].values()) != {"none"})
        assert main(["export", "hostile", "-o", "[red]best<b>.yaml", "--pick", f"id:{winner}"]) == 0
        run = ("train", "[red]best<b>.yaml", "--data", DATA_FOLDER, "--epochs", "1", "-o", RUN)
        assert main([*run, "--accelerator", "cpu"]) == 0
        Path("winner").write_text(winner)
        space = (Path(__file__).parents[2] / "search_spaces" / "unet_attention_small.yaml").read_text()
        Path("search_spaces").mkdir()
        Path("search_spaces", "\x1b[2J[red].yaml").write_text(
            re.sub(r"(?m)^description:(.|\n)*?(?=^\w)", "description: '[/x] <b> :bomb:'\n", space)
        )
        rescue("[red]rescued<b>\x1b[2J.json")
        for name in ("[bold]study", "\x1b[2Jstudy"):
            shutil.copytree("studies/hostile", Path("studies", name))
            with contextlib.closing(sqlite3.connect(Path("studies", name, "study.db"))) as connection, connection:
                connection.execute("UPDATE studies SET study_name = ? WHERE study_name = 'hostile'", [name])
    return folder, printed.getvalue()


def rescue(file: str) -> None:
    """What a search leaves that has lost its database; with a trial that failed for a hostile reason."""
    ledger = open_study("hostile")
    *whole, last = ledger.records()
    failed = replace(last, state=State.FAILED, outcome=None, failure=REASON)
    known = Rescued("hostile", ledger.identity, ledger.context, ledger.plan, (*whole, failed))
    write_rescued(known, Path()).rename(file)
    assert main(["import", file, "--study", "failed"]) == 0


def said(*words: str) -> str:
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        assert main(words) == 0
    return printed.getvalue()


@pytest.fixture
def world(world_made: tuple[Path, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    from tests.cli.conftest import search_here

    folder = tmp_path / "world"
    shutil.copytree(world_made[0], folder)
    monkeypatch.chdir(folder)
    search_here(monkeypatch)
    return folder


COMMANDS: dict[str, tuple[list[str], list[str]]] = {
    "worker": (["worker", "hostile", "--device", "cpu", "--workers", "1"], []),
    "retry": (["retry", "failed", "--all"], ["1 x [/x]\\x1b[2J :bomb: <b>"]),
    "import": (
        ["import", "[red]rescued<b>\x1b[2J.json", "--study", "again"],
        ["9 trials, 9 of them from [red]rescued<b>\\x1b[2J.json; the same"],
    ),
    "verdict": (["verdict", "hostile"], []),
    "verdict --json": (["verdict", "hostile", "--json"], []),
    "rank": (["rank", "hostile"], []),
    "rank --csv": (["rank", "hostile", "--csv"], []),
    "effects": (["effects", "hostile"], []),
    "latency": (["latency", "hostile"], []),
    "verify": (["verify", "hostile", "--seeds", "2", "--pick", "WINNER"], []),
    "report": (["report", "hostile", "-o", "[red]r<b>.html"], ["[red]r<b>.html: report of 'hostile'"]),
    "export": (
        ["export", RUN, "--format", "python,yaml", "-o", "[red]mine"],
        ["[red]mine.py: ", "[red]mine.yaml: "],
    ),
    "train": (
        ["train", "[red]best<b>.yaml", "--data", DATA_FOLDER, "--epochs", "1", "-o", RUN, "--accelerator", "cpu"],
        [DATA, *CLASSES, f"folder        {RUN}"],
    ),
    "predict": (
        [
            *("predict", f"{RUN}/architecture.yaml", f"{RUN}/weights.safetensors", f"{DATA_FOLDER}/images/test"),
            *("-o", "out[red]", "--accelerator", "cpu"),
        ],
        [*CLASSES, "out[red]/masks"],
    ),
    "studies": (["studies"], [DATA[:12], "[bold]study", "\\x1b[2Jstudy"]),
    "spaces": (["spaces"], ["\\x1b[2J[red]", "[/x] <b> :bomb:"]),
    "spaces FILE": (["spaces", "search_spaces/\x1b[2J[red].yaml"], ["[/x] <b> :bomb:"]),
    "data": (["data", "check", DATA_FOLDER], [*CLASSES, "no problem found"]),
    "dashboard": (["dashboard", "[bold]study", "--port", "0"], ["'[bold]study'"]),
}


def test_the_search_shows_names_as_they_are(world_made: tuple[Path, str]) -> None:
    printed = world_made[1]

    assert f"{DATA}: 4 training, 4 validation and 4 test images" in printed
    assert f"classes  {', '.join(CLASSES)}" in printed
    assert not ESCAPE.search(printed)


@pytest.mark.parametrize(("words", "shown"), COMMANDS.values(), ids=COMMANDS)
def test_a_verb_shows_names_as_they_are(world, words, shown, capsys, monkeypatch):
    import wsgiref.simple_server

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(wsgiref.simple_server.WSGIServer, "serve_forever", interrupt)
    winner = Path("winner").read_text()
    assert main([f"id:{winner}" if word == "WINNER" else word for word in words]) == 0
    printed, errors = capsys.readouterr()
    assert errors == ""
    assert printed
    assert not ESCAPE.search(printed)
    assert [text for text in shown if text not in printed] == []


def test_every_verb_is_driven():
    others = {
        "search": "the fixture",
        "completion": "nothing from outside is in it",
        "attentions": "names of files and data are not shown by it",
        "network": "what can be imported has a harmless name; those of mistakes are below",
    }
    assert {words[0] for words, _ in COMMANDS.values()} | set(others) == set(VERBS)


def test_mistakes_with_hostile_names_are_plain_lines(world, refused):
    for words in (
        ["rank", "[/x]\x1b[2J"],
        ["attentions", "[red]\x1b[2J"],
        ["spaces", "[/x]\x1b[2J.yaml"],
        ["network", "[/x]\x1b[2J.yaml"],
        ["network", "[red]\x1b[2J"],
        ["search", "--data", "[/x]\x1b[2J"],
        ["search", "--study", "[red]"],
        ["train", "[/x]\x1b[2J.yaml", "--data", "d"],
        ["data", "check", "[/x]\x1b[2J"],
        ["predict", "[/x]\x1b[2J.yaml", "w", "i", "-o", "o"],
        ["export", "[/x]\x1b[2J", "-o", "x.yaml"],
        ["rank", "hostile", "--[red]\x1b[2J"],
        ["rank", "hostile", "\x1b[2J"],
        ["[red]\x1b[2J"],
    ):
        lines = refused(*words)
        assert not any(ESCAPE.search(line) for line in lines), words
        assert any("[red]" in line or "[/x]" in line or "\\x1b[2J" in line for line in lines), words


def test_names_in_the_metadata_of_weights_steer_no_terminal(world, capsys):
    from safetensors.torch import load_file, save_file

    from nas_attn.training.full.weights import FORMAT

    path = Path(RUN, "weights.safetensors")
    from safetensors import safe_open

    with safe_open(path, framework="pt") as opened:
        info = json.loads(opened.metadata()[FORMAT])
    info["classes"] = ["\x1b[2Ja", "[red]b", "c\u202e"]
    save_file(load_file(path), path, metadata={FORMAT: json.dumps(info)})

    assert main(COMMANDS["predict"][0]) == 0
    printed = capsys.readouterr().out
    assert not ESCAPE.search(printed)
    assert all(name in printed for name in ("\\x1b[2Ja: ", "[red]b: ", "c\\u202e: "))


def test_the_page_of_a_report_holds_names_as_text(world):
    assert main(["report", "hostile", "-o", "r.html"]) == 0
    page = Path("r.html").read_text(encoding="utf-8")

    assert "<img src=x" not in page
    assert "&lt;img src=x onerror=alert(1)&gt; [link=file:///]" in page
    assert "[/x][red] :bomb: &lt;b&gt;&amp;amp; %s {x}" in page
    assert not ESCAPE.search(page)


def test_log_files_steer_no_terminal(world):
    for path in world.rglob("*.log"):
        assert not ESCAPE.search(path.read_text(encoding="utf-8")), path


def test_a_terminal_gets_colours_of_ours_and_no_control_of_others(world, capsys, monkeypatch):
    from nas_attn.cli._stream import Output

    monkeypatch.setattr(Output, "isatty", lambda self: True)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "300")
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert main(["studies"]) == 0
    printed = capsys.readouterr().out
    assert "\\x1b[2Jstudy" in printed
    assert "\x1b[2J" not in printed
    assert "\x1b[" in printed
