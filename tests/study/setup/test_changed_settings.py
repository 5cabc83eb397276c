"""A search that is refused by its study: whoever types what the lines say goes on with it."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nas_attn.cli import search
from nas_attn.cli.main import OneLineParser
from nas_attn.errors import StudyError
from nas_attn.strategy.settings import Difference
from nas_attn.study.database.ledger import Ledger
from nas_attn.study.setup import preset as presets
from nas_attn.study.setup.begin import begin_or_go_on
from nas_attn.study.setup.changed_settings import check_settings, mend
from nas_attn.study.setup.folder import StudyFolder
from nas_attn.study.setup.preset import CPU_SYNTHETIC
from nas_attn.study.setup.resolve import Resolved, resolve

BASE = (
    "--study s --space unet_attention_small --device cpu --workers 1 --precision float32 --base-channels 4 "
    "--image-size 16"
)
OWN_SPACE = """
version: 1
name: own
network: {family: unet, depth: 2, norm: instance, upsampling: bilinear}
choices:
  encoder: [none, {kind: se, reduction: 4, start: paper}, eca]
  bottleneck: [none, pam]
  skip: [none]
  decoder: [none, scse]
limits: {max_positions: 100, max_macs: 2.5x}
ladder: [50, 100, 200]
"""


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Few images, two folders of data and a space."""
    monkeypatch.setattr(presets, "CPU_SYNTHETIC", replace(CPU_SYNTHETIC, n_train=4, n_val=4))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own.yaml").write_text(OWN_SPACE, encoding="utf-8")
    for name, channels in (("grey data", 1), ("colour", 3)):
        random = np.random.default_rng(0)
        for split in ("train", "val", "test"):
            for kind, shape in (("images", (24, 20, channels)), ("masks", (24, 20))):
                folder = tmp_path / name / kind / split
                folder.mkdir(parents=True)
                values = random.integers(0, 256 if kind == "images" else 2, shape, dtype=np.uint8)
                Image.fromarray(values.squeeze()).save(folder / f"{split}.png")
    return tmp_path


def asked(words: Sequence[str]) -> Resolved:
    parser = OneLineParser(prog="nas-attn search", allow_abbrev=False)
    search.add_arguments(parser)
    return resolve(search._request(parser.parse(words)))


def begun(words: Sequence[str]) -> Ledger:
    resolved = asked(words)
    folder = StudyFolder.of("s")
    folder.make()
    return begin_or_go_on(resolved, folder)


def refusal(study: Ledger, words: Sequence[str]) -> list[str]:
    """The lines about the differences; empty where there is none."""
    try:
        check_settings(study, asked(words))
    except StudyError as error:
        return list(error.problems[:-1])
    return []


def obeyed(words: Sequence[str], lines: Sequence[str]) -> list[str]:
    """The command with what the lines say: options given last are those that hold."""
    left, added = list(words), []
    for line in lines:
        mends = line.rpartition("; ")[2]
        for flag in re.findall(r"leave out (--\S+)", mends):
            if flag in left:
                at = left.index(flag)
                del left[at : at + 2]
        for given in re.findall(r"give (.*?)(?= and leave out |$)", mends):
            added += shlex.split(given)
    return left + added


CHANGES = {
    "loss": ("", "--loss focal --foreground 0.5 --class-weights 1,2,4"),
    "another loss": ("--loss dice --foreground 0.33 --class-weights auto", "--loss tversky"),
    "other weights": ("--class-weights 1,2,0.125", "--class-weights auto"),
    "seeds": ("", "--seed 1 --screening-seeds 2"),
    "words": ("--strategy gp --cost latency", "--strategy random --finalists 0.5 --out-of-memory split"),
    "sizes": ("", "--base-channels 8 --image-size 32 --batch-size 3 --steps 77"),
    "precision": ("", "--precision float32+channels_last"),
    "budget to be found": ("--budget auto --ladder auto", "--steps 100"),
    "budget not to be found": ("--steps 100", "--budget auto --ladder auto"),
    "budget not to be found for own data": ("--steps 100 --data colour", "--data colour"),
    "budget to be found for own data": ("--data colour", "--data colour --steps 100"),
    "no ladder before": ("--steps 540", "--ladder 60,180,600"),
    "no ladder before, the same last rung": ("--steps 540", "--ladder 60,180,540"),
    "no ladder now": ("--ladder 60,180,540 --ladder-start scratch", "--steps 540"),
    "another ladder": ("--ladder 60,180,540", "--ladder 60,180,600"),
    "another ladder from elsewhere": ("--ladder 60,180,540 --ladder-start scratch", "--ladder auto --steps 600"),
    "the space's ladder": ("--space own.yaml", "--space own.yaml --steps 100"),
    "without the space's ladder": ("--space own.yaml --steps 200", "--space own.yaml"),
    "data": ("--data 'grey data'", "--data colour"),
    "built-in data": ("", "--data 'grey data'"),
    "longest side": ("--data colour --longest-side 20", "--data colour"),
    "frames": ("--data clips --frames 2", "--data clips --frames 3"),
    "clips": ("", "--data clips"),
    "a ceiling": ("", "--max-macs 2x --max-parameters 1M"),
    "no ceiling": ("--max-macs 2x --max-parameters 1000000", ""),
    "another ceiling": ("--max-macs 2x", "--max-cost 3x"),
    "a ceiling of the cost": ("", "--max-cost 3x"),
    "a ceiling of the latency": ("--cost latency", "--cost latency --max-cost 3x"),
    "another ceiling of the latency": ("--cost latency --max-cost 2x", "--max-cost 3x"),
    "less than the space's ceiling": ("--space own.yaml", "--space own.yaml --max-macs 1.5x"),
    "start": ("", "--start identity"),
    "no start": ("--start identity", ""),
    "space": ("", "--space own.yaml --start identity --max-macs 2x"),
    "another space": ("--space own.yaml", "--max-parameters 2x"),
}


@pytest.mark.parametrize(("before", "now"), CHANGES.values(), ids=CHANGES.keys())
def test_who_types_what_the_lines_say_goes_on_with_the_study(before: str, now: str) -> None:
    study = begun(shlex.split(f"{BASE} {before}"))
    words = shlex.split(f"{BASE} {now}")
    lines = refusal(study, words)

    assert lines
    assert refusal(study, obeyed(words, lines)) == []


def test_each_difference_says_what_to_type(here: Path) -> None:
    study = begun(shlex.split(f"{BASE} --ladder 60,180,540 --data 'grey data'"))
    lines = refusal(study, shlex.split(f"{BASE} --budget auto --data colour --max-macs 2x --start identity"))

    data = f"--data '{here / 'grey data'}'"
    assert [line.removeprefix("study 's': ") for line in lines if "fingerprint" not in line] == [
        f"space.network.in_channels was 1 and is now 3; give {data}",
        "space.start was neutral and is now identity; give --space studies/s/space.yaml and leave out --start",
        "space.limits.max_macs was nothing and is now 2x; leave out --max-macs",
        f"data was grey data and is now colour; give {data}",
        "budget.steps was 540 and is now 150; give --ladder 60,180,540 --steps 540",
        "ladder was [60, 180] and is now nothing; give --ladder 60,180,540 --steps 540",
        "ladder start was plain and is now scratch; give --ladder-start plain",
        "find budget was False and is now True; give --ladder 60,180,540 --steps 540 and leave out --budget",
    ]


def test_images_that_have_changed_are_settled_by_no_option() -> None:
    words = shlex.split(f"{BASE} --data colour")
    study = begun(words)
    Image.new("RGB", (20, 24)).save("colour/images/val/val.png")

    (line,) = refusal(study, words)
    assert re.fullmatch(
        r"study 's': data fingerprint was [0-9a-f]+ and is now [0-9a-f]+ \(1 changed: val/val\)", line
    )


@pytest.mark.parametrize(
    ("name", "before", "now", "words"),
    [
        ("device", "cuda", "cpu", "give --device cuda"),
        ("screening seeds", 1, 4, "give --screening-seeds 1"),
        ("recipe.clip_norm", 1.0, 2.0, ""),
        ("budget.train_fraction", 1.0, 0.5, ""),
    ],
)
def test_what_has_an_option_is_settled_by_it_and_the_rest_by_none(
    name: str, before: object, now: object, words: str
) -> None:
    study = begun(shlex.split(BASE))

    assert mend(Difference(name, before, now), study, asked(shlex.split(BASE))) == words
