"""A loss, class weights and crops on foreground, from the search through every file to the full training."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from nas_attn.cli.main import main

from .conftest import TINY

ASKED = ("--loss", "tversky", "--class-weights", "auto", "--foreground", "0.5")
Refused = Callable[..., list[str]]


def search(*asked: str) -> int:
    return main(["search", *TINY, "--trials", "8", "--strategy", "random", "--study", "rare", *asked])


def test_what_the_search_minimised_is_told_everywhere_and_trained_on(
    here: Path, capsys: pytest.CaptureFixture[str], refused: Refused
) -> None:
    assert search(*ASKED) == 0
    plan = " ".join(capsys.readouterr().out.split())
    assert main(["export", "rare", "--pick", "first", "-o", "best.yaml"]) == 0
    found = yaml.safe_load((here / "best.yaml").read_text())["found"]
    assert (found["loss"], found["foreground"]) == ("tversky", 0.5)
    shown = ", ".join(f"{weight:g}" for weight in found["class_weights"])
    tversky = "tversky (Tversky loss, alpha 0.3, beta 0.7)"
    text = f"{tversky}, class weights {shown}; 50% of the crops centred on foreground"
    assert f" loss {text} device" in plan

    assert main(["report", "rare", "-o", "report.html"]) == 0
    assert text in (here / "report.html").read_text()
    assert main(["export", "rare", "--pick", "first", "-o", "study.md"]) == 0
    assert text in (here / "study.md").read_text()

    train = ("train", "best.yaml", "--data", "synthetic", "--epochs", "1", "--accelerator", "cpu", "-o", "run")
    capsys.readouterr()
    assert main(train) == 0
    assert f"loss {text}" in capsys.readouterr().out
    run = json.loads((here / "run" / "run.json").read_text())
    assert [run[name] for name in ("loss", "class_weights", "foreground")] == [
        found[name] for name in ("loss", "class_weights", "foreground")
    ]
    assert main(["export", "run", "-o", "run.md"]) == 0
    assert f"| loss of the training | {text} |" in (here / "run.md").read_text()
    assert "--loss tversky --foreground 0.5 --class-weights " in (here / "run.md").read_text()

    (line,) = refused(*train, "--loss", "ce", "--class-weights", "none")
    assert "holds a run with loss 'tversky', not 'ce', class_weights [" in line


def test_a_study_goes_on_with_its_loss_only(here: Path, refused: Refused) -> None:
    assert search(*ASKED) == 0
    assert search(*ASKED) == 0
    *lines, _ = refused("search", *TINY, "--trials", "8", "--strategy", "random", "--study", "rare")
    assert lines[0] == "study 'rare': recipe.loss was tversky and is now ce+dice; give --loss tversky"
    assert lines[1].startswith("study 'rare': recipe.class_weights was [")
    assert lines[2] == "study 'rare': recipe.foreground was 0.5 and is now 0.0; give --foreground 0.5"


@pytest.mark.parametrize(
    ("mistake", "line"),
    [
        (
            ("--loss", "dise"),
            "--loss: 'dise' must be ce+dice | dice | ce | focal | tversky | bce+dice | bce",
        ),
        (
            ("--class-weights", "1,0,2"),
            "--class-weights: '1,0,2' must be none | auto | numbers above 0 such as 1,2.5,4",
        ),
        (
            ("--class-weights", "1;2"),
            "--class-weights: '1;2' must be none | auto | numbers above 0 such as 1,2.5,4",
        ),
        (
            ("--class-weights", "1,inf,nan"),
            "--class-weights: '1,inf,nan' must be none | auto | numbers above 0 such as 1,2.5,4",
        ),
        (("--class-weights", "1,2"), "--class-weights 1,2: 2 weights for 3 classes (background, "),
        (("--foreground", "33"), "--foreground: 33 must be a number from 0 to 1"),
        (("--foreground", "third"), "--foreground: 'third' must be a number from 0 to 1"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_a_mistake_is_one_line(here: Path, refused: Refused, mistake: tuple[str, ...], line: str) -> None:
    (found,) = refused("search", *TINY, "--trials", "8", *mistake)

    assert found.startswith(line)


@pytest.mark.parametrize("mistake", [("--loss", "bce"), ("--class-weights", "one"), ("--foreground", "2")])
def test_a_mistake_in_a_training_is_one_line(
    here: Path, refused: Refused, mistake: tuple[str, str], tiny_study: object
) -> None:
    (found,) = refused("train", "studies/tiny/best.yaml", "--data", "synthetic", *mistake)

    assert found.startswith(f"{mistake[0].removeprefix('--').replace('-', '_')}: ")
