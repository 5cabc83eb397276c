"""Whatever lies where, no command changes or deletes a file that is not its own."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nas_attn.cli.main import main

TINY = (
    *("--space", "unet_attention_small", "--base-channels", "4", "--image-size", "16", "--batch-size", "2"),
    *("--steps", "2", "--device", "cpu", "--workers", "1", "--precision", "float32", "--trials", "3"),
)


def make_data(folder: Path) -> Path:
    """A sound data set of three images in each split."""
    random = np.random.default_rng(0)
    for split in ("train", "val", "test"):
        for number in range(3):
            for part, top in (("images", 256), ("masks", 2)):
                path = folder / part / split / f"{number}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(random.integers(0, top, (16, 16)).astype(np.uint8)).save(path)
    (folder / "dataset.yaml").write_text("classes: [background, cell]\n")
    return folder


def test_data_that_are_the_studys_folder_are_refused_and_stay(here, refused, contents):
    make_data(Path("studies/mine"))
    before = contents(here)
    (line,) = refused("search", *TINY, "--data", "studies/mine", "--study", "mine")

    assert line.startswith("--data studies/mine: is the study's folder, studies/mine; keep the two apart: ")
    assert contents(here) == before


def test_data_that_the_studys_folder_links_to_are_refused_and_stay(here, refused, contents):
    make_data(Path("data"))
    Path("studies").mkdir()
    Path("studies/nuclei").symlink_to(here / "data")
    before = contents(here)
    (line,) = refused("search", *TINY, "--data", "data", "--study", "nuclei")

    assert line.startswith("--data data: is the study's folder, studies/nuclei (which is ")
    assert contents(here) == before


def test_data_of_the_studys_name_that_hold_its_study_file_stay(here, contents):
    """As they lie in the current folder, their name is a path, too."""
    make_data(Path("nuclei"))
    assert main(["search", *TINY, "--data", "nuclei", "--study", "nuclei"]) == 0
    shutil.copy("studies/nuclei/study.yaml", "nuclei")
    before = contents(here / "nuclei")
    assert main(["report", "nuclei", "-o", "page.html"]) == 0

    assert contents(here / "nuclei") == before


def test_pictures_in_the_studys_folder_stay(here, contents):
    """Where an earlier version kept its own."""
    make_data(Path("data"))
    Path("studies/nuclei").mkdir(parents=True)
    shutil.copytree("data/images", "studies/nuclei/images")
    before = contents(here / "studies" / "nuclei" / "images")
    for study in ("nuclei", "nuclei"):
        assert main(["search", *TINY, "--data", "data", "--study", study]) == 0
    assert main(["verify", "nuclei", "--seeds", "2", "--workers", "1"]) == 0

    assert contents(here / "studies" / "nuclei" / "images") == before


@pytest.mark.parametrize("command", ["worker", "verify"])
def test_who_joins_a_study_from_within_its_data_is_refused(command, here, refused, contents):
    make_data(Path("data"))
    assert main(["search", *TINY, "--data", "data", "--study", "nuclei"]) == 0
    shutil.copytree("data", "studies/nuclei/copy")
    before = contents(here)
    (line,) = refused(command, "nuclei", "--data", "studies/nuclei/copy")

    assert line.startswith("--data studies/nuclei/copy: lies in the study's folder, ")
    assert contents(here) == before
