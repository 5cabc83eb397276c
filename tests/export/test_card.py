"""The model card: every figure in it is one that was measured, and no name becomes markup."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from nas_attn.analysis import Interval
from nas_attn.architecture import Architecture, Found, Results
from nas_attn.budget import Budget
from nas_attn.export.card import write_card
from nas_attn.export.drawing import draw_in_letters
from nas_attn.export.subject import Subject, read_source
from nas_attn.models.network import UNetConfig
from nas_attn.training.metrics import count_macs, count_parameters
from nas_attn.wording.numbers import amount

Make = Callable[..., Architecture]

FOUND = Found(
    "cells",
    "unet_attention",
    "tpe",
    40,
    Budget(600, 64, 16),
    (1, 2),
    "cells",
    "f00",
    "cpu: x",
    "0.1.0",
    "2026-11-20",
)
RESULTS = Results(2, 0.8123, Interval(0.80, 0.82), 0.009, Interval(0.004, 0.014), 2, 12, 34, 3.25, 512.0)
TRAINED = {
    "test_iou": 0.5,
    "test_iou_per_class": [0.75, 0.25, None],
    "best_epoch": 7,
    "epochs": 9,
    "seconds": 90.0,
}


def card_of(subject: Subject, folder: Path) -> tuple[str, str]:
    said = write_card(subject, folder / "card.md")
    return said, (folder / "card.md").read_text(encoding="utf-8")


def cell(card: str, name: str) -> str:
    (found,) = re.findall(rf"(?m)^\| {name} \| (.*) \|$", card)
    return str(found)


def test_it_holds_the_figures_of_the_search(make_architecture: Make, tmp_path: Path) -> None:
    architecture = make_architecture({"skip.0": "se"}, found=FOUND, results=RESULTS)
    said, card = card_of(Subject(architecture), tmp_path)
    network = Subject(architecture).network()

    assert cell(card, "validation IoU x100") == "81.23 (80.00 to 82.00)"
    assert cell(card, "points over the baseline, same seeds") == "+0.90 (0.40 to 1.40)"
    assert cell(card, "rank in the study") == "2"
    assert cell(card, "latency") == "3.25 ms for one image on cpu: x"
    assert cell(card, "parameters") == f"{count_parameters(network):,}"
    assert cell(card, "in the search") == "34 parameters, 12 MACs"
    assert "the search had 34 and 12" in said
    assert "No weights go with it" in card
    assert "found on 2026-11-20 by the study cells (40 trials" in card


def test_costs_that_are_counted_again_are_said_to_agree(make_architecture: Make, tmp_path: Path) -> None:
    architecture = make_architecture({"skip.0": "se"})
    network = Subject(architecture).network()
    counted = replace(RESULTS, macs=count_macs(network, (1, 2, 16, 16)), parameters=count_parameters(network))
    said, card = card_of(Subject(replace(architecture, results=counted)), tmp_path)

    assert said == "parameters and MACs, counted again, are those of the search"
    assert "in the search |" not in card


def test_a_network_of_clips_is_counted_for_a_clip_and_says_what_goes_in(
    make_architecture: Make, tmp_path: Path
) -> None:
    architecture = make_architecture({"skip.0": "tam"}, results=RESULTS)
    _, card = card_of(Subject(architecture), tmp_path)
    macs = count_macs(Subject(architecture).network(), (3, 2, 16, 16))

    assert cell(card, "MACs of one clip of 3 frames") == f"{amount(macs)} at 16x16 pixels"
    assert cell(card, "latency") == "3.25 ms for one clip of 3 frames"
    assert "frames of clips, 3 consecutive ones of a clip, then 3 of the next: N is a multiple of 3." in card


def test_frames_that_are_looked_at_one_by_one_may_go_in_so(make_architecture: Make, tmp_path: Path) -> None:
    film = make_architecture({"skip.0": "se"}, UNetConfig(2, 3, depth=2, base_channels=8, frames=3))
    _, card = card_of(Subject(film), tmp_path)

    assert "multiple of 3" not in card
    assert cell(card, "MACs of one clip of 3 frames")


def test_a_run_adds_its_test_and_how_it_was_trained(run: Path, tmp_path: Path) -> None:
    plain = {**TRAINED, "test_iou": 0.49, "test_iou_per_class": [0.745, 0.235, None]}
    metrics = {"trained": TRAINED, "plain": plain, "classes": ["background", "cell", "wall"], "device": "cpu: y"}
    (run / "metrics.json").write_text(json.dumps(metrics))
    (run / "run.json").write_text(
        json.dumps({"data": "cells", "epochs": 9, "seed": 3, "batch_size": 4, "crop": 64})
    )
    _, card = card_of(read_source(str(run)), tmp_path)

    assert cell(card, "background") == "75.00 (+0.50 to the baseline)"
    assert cell(card, "wall") == "absent"
    assert cell(card, "mean") == "50.00 (+1.00 to the baseline)"
    assert cell(card, "weights kept") == "of epoch 7 of 9, the best on the validation data"
    assert "This is a single seed" in card
    assert "The weights are those of epoch 7 of a training with seed 3 (validation IoU x100 81.25)." in card
    command = f"nas-attn train {run}/architecture.yaml --data FOLDER --epochs 9 --batch-size 4 --crop 64 --seed 3"
    assert command in card


def test_a_run_without_its_numbers_says_so(run: Path, tmp_path: Path) -> None:
    (run / "metrics.json").write_text("[broken")
    _, card = card_of(read_source(str(run)), tmp_path)

    assert "Nothing was measured." in card
    assert "what the attention adds is not known" in card


def test_what_only_the_author_knows_is_left_to_be_filled_in(make_architecture: Make, tmp_path: Path) -> None:
    _, card = card_of(Subject(make_architecture({})), tmp_path)
    front = yaml.safe_load(card.split("---")[1])

    assert front["pipeline_tag"] == "image-segmentation"
    assert front["license"] == "other"
    assert len(re.findall(r"(?m)^- .*: FILL IN$", card)) == 4


NASTY = ("a|b", "<script>alert(1)</script>", "[x](http://evil)", "`code`", "*bold*", "snake_case", "_a_")


def test_no_name_becomes_markup(make_architecture: Make, tmp_path: Path) -> None:
    network = UNetConfig(2, len(NASTY), depth=2, base_channels=4)
    found = replace(FOUND, study=NASTY[1], data=NASTY[2])
    _, card = card_of(Subject(make_architecture({}, network, classes=NASTY, found=found)), tmp_path)

    for name in NASTY[:5]:
        assert not re.search(rf"(?<!\\){re.escape(name)}", card), name
    assert "snake_case" in card
    assert r"\_a\_" in card
    assert all(line.count("|") - line.count(r"\|") in (0, 3) for line in card.splitlines())


def test_a_placement_is_drawn_level_by_level(make_architecture: Make) -> None:
    architecture = make_architecture({"encoder.0": "cbam(kernel_size=3)", "skip.1": "gate", "bottleneck": "se"})

    assert draw_in_letters(architecture.network, architecture.placement).splitlines() == [
        "level   C  encoder                  skip      decoder",
        "    0   8  cbam(kernel_size=3)  --> -     --> -",
        "    1  16  -                    --> gate  --> -",
        "    2  32                           bottleneck: se",
    ]


@pytest.mark.parametrize(("kind", "told"), [("dynamic", True), ("encnet", True), ("se", False)])
def test_attention_that_wants_more_of_a_training_is_named_among_the_limitations(
    kind: str, told: bool, make_architecture: Callable[..., Architecture], tmp_path: Path
) -> None:
    write_card(Subject(make_architecture({"bottleneck": kind})), tmp_path / "card.md")
    limitations = (tmp_path / "card.md").read_text(encoding="utf-8").partition("## Limitations")[2]
    assert ("network.begin_step(step, steps)" in limitations) == told
