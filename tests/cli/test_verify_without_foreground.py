"""A metric of the foreground and test masks without any: told before anything is trained."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nas_attn.cli.main import main

from .conftest import TINY, search_here

Refused = Callable[..., list[str]]


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Discs in train and val, and none in test."""
    monkeypatch.chdir(tmp_path)
    search_here(monkeypatch)
    random = np.random.default_rng(0)
    for split, largest in (("train", 1), ("val", 1), ("test", 0)):
        for number in range(3):
            for kind, top in (("images", 255), ("masks", largest)):
                path = tmp_path / "discs" / kind / split / f"{number}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(random.integers(0, top + 1, (20, 20)).astype(np.uint8)).save(path)
    return tmp_path / "discs"


def searched(data: Path, metric: str) -> None:
    few = ("--trials", "8", "--strategy", "random", "--study", "discs", "--metric", metric)
    assert main(["search", *TINY, *few, "--data", str(data)]) == 0


@pytest.mark.parametrize("metric", ["foreground-iou", "foreground-iou-per-image"])
def test_the_plan_says_so_and_verify_refuses_before_it_trains(
    data: Path, metric: str, refused: Refused, capsys: pytest.CaptureFixture[str]
) -> None:
    searched(data, metric)
    plan = " ".join(capsys.readouterr().out.split())
    assert "no test mask holds a class but background, so that 'nas-attn verify' cannot judge by it" in plan

    (line,) = refused("verify", "discs", "--pick", "first", "--seeds", "2", "--json")
    title = "foreground IoU per image" if metric.endswith("image") else "foreground IoU"
    assert line == (
        f"the study compares by {title}, and no test mask of discs holds a class but background, so nothing can "
        "be verified; label some in test"
    )
    assert not (data.parent / "studies" / "discs" / "verify").exists()


def test_a_metric_that_judges_the_background_too_is_verified(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    searched(data, "mean-iou")
    assert "cannot judge" not in capsys.readouterr().out
    assert main(["verify", "discs", "--pick", "first", "--seeds", "2", "--json"]) == 0
