"""What is compared is called by its name, on every page: nothing says IoU where a study compares Dice."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from nas_attn.cli.main import main

from .conftest import TINY

Made = dict[str, str]


def pages(metric: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[tuple[str, str]]:
    """All that a study says of itself, by what says it."""

    def printed(*arguments: str) -> str:
        assert main(arguments) == 0
        return capsys.readouterr().out

    yield (
        "search",
        printed(*("search", *TINY, "--trials", "18", "--strategy", "random", "--study", "s", "--metric", metric)),
    )
    yield "rank", printed("rank", "s")
    yield "effects", printed("effects", "s")
    yield "verify", printed("verify", "s", "--pick", "first", "--seeds", "2", "--ablate")
    for name in ("report.html", "card.md", "best.yaml"):
        extra = ("--no-panels",) if name == "report.html" else ("--pick", "first")
        printed("report" if extra[0] == "--no-panels" else "export", "s", *extra, "-o", name)
        yield name, (folder / name).read_text()
    printed("export", "best.yaml", "-o", "alone.md")
    yield "alone.md", (folder / "alone.md").read_text()


def without_plotly(text: str) -> str:
    """The page without the library in it, whose words are its own."""
    return re.sub(r"<script[^>]*>[^<]{200000,}</script>", "", text)


def test_a_study_that_compares_dice_says_nothing_of_iou(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, text in pages("mean-dice", here, capsys):
        found = [line for line in without_plotly(text).splitlines() if "IoU" in line]
        assert found == [], name
        assert "dice" in text.lower(), name
    assert yaml.safe_load((here / "best.yaml").read_text())["found"]["metric"] == "mean-dice"


def test_a_study_of_the_foreground_says_so_wherever_it_says_iou(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """But for the definition, which says what an IoU of a class is."""
    for name, text in pages("foreground-iou", here, capsys):
        words = " ".join(without_plotly(text).split())
        said = [words[max(0, at.start() - 40) : at.end() + 12] for at in re.finditer("IoU", words)]
        others = [one for one in said if "oreground IoU" not in one and "IoU of a class" not in one]
        assert "foreground" in text, name
        assert others == [], name
