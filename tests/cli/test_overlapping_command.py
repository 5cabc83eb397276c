"""A set of classes that may overlap, from its folder through a search to predictions."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from nas_attn.cli.main import main

from .conftest import TINY

Refused = Callable[..., list[str]]


def save(path: Path, values: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values.astype(np.uint8)).save(path)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Bright discs with brighter cups within them; a cup is a part of its disc."""
    random = np.random.default_rng(0)
    rows, columns = np.mgrid[:32, :32]
    for split, number in (("train", 6), ("val", 3), ("test", 3)):
        for index in range(number):
            away = np.hypot(rows - random.uniform(12, 20), columns - random.uniform(12, 20))
            pixels = random.normal(60, 5, (32, 32, 3)) + 80 * (away < 9)[..., None] + 80 * (away < 4)[..., None]
            name = f"{split}/{split}{index}.png"
            save(tmp_path / "eyes" / "images" / name, pixels.clip(0, 255))
            for part, radius in (("disc", 9), ("cup", 4)):
                save(tmp_path / "eyes" / "masks" / part / name, 255 * (away < radius))
    return tmp_path / "eyes"


def test_overlapping_classes_go_from_the_folder_to_predictions(
    here: Path, folder: Path, capsys: pytest.CaptureFixture[str], refused: Refused
) -> None:
    def printed(*arguments: str) -> str:
        capsys.readouterr()
        assert main(arguments) == 0
        return " ".join(capsys.readouterr().out.split())

    assert "multi_label: true" in printed("data", "check", str(folder), "--write")
    search = ("search", *TINY, "--data", str(folder), "--strategy", "random", "--trials", "8", "--study", "eyes")
    (line,) = refused(*search, "--loss", "ce")
    assert "take bce, which treats each class by itself" in line
    plan = printed(*search, "--metric", "foreground-iou")
    assert "classes cup, disc, which may overlap" in plan
    assert "bce+dice (binary cross-entropy plus soft Dice, of each class by itself)" in plan
    assert "each evaluated by itself, because they may overlap" in plan
    assert printed("rank", "eyes", "--metric", "foreground-iou") == printed("rank", "eyes")
    printed("verify", "eyes", "--pick", "first", "--seeds", "2")
    printed("report", "eyes", "-o", "report.html")
    printed("export", "eyes", "--pick", "first", "-o", "best.yaml")
    assert yaml.safe_load((here / "best.yaml").read_text())["multi_label"] is True

    printed("train", "best.yaml", "--data", str(folder), "--epochs", "1", "--accelerator", "cpu", "-o", "run")
    run = (str(here / "run" / "architecture.yaml"), str(here / "run" / "weights.safetensors"))
    said = printed("predict", *run, str(folder / "images" / "test"), "-o", "found", "--accelerator", "cpu")
    assert "each has a mask of its own" in said
    for part in ("cup", "disc"):
        masks = sorted((here / "found" / "masks" / part).iterdir())
        assert len(masks) == 3
        assert set(np.unique(np.asarray(Image.open(masks[0]))).tolist()) <= {0, 255}
    printed("export", "run", "-o", "best.py")
    assert "labels = logits > 0" in (here / "best.py").read_text()
    for name in ("script", "nnunet"):
        (line,) = refused("export", "run", "--format", name, "-o", f"{name}_train.py")
        assert "may overlap" in line
    lines = refused("train", "best.yaml", "--data", "synthetic", "-o", "other")
    assert any("was found for classes that may overlap (multi_label)" in line for line in lines)
