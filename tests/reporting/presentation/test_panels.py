"""Prediction panels: whom they show, that they show the ranked networks, and that they are kept."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from nas_attn.analysis import rank
from nas_attn.budget import Budget
from nas_attn.errors import StudyError
from nas_attn.models.build import build_unet
from nas_attn.models.network import UNetConfig
from nas_attn.models.placement import AttentionSpec, Location
from nas_attn.own_folder import MARK
from nas_attn.record import Cost, Outcome, Role, Score, State, TrialRecord
from nas_attn.reporting.page import Panel, Panels, Picture
from nas_attn.reporting.presentation.panel_store import read_panels, write_panels
from nas_attn.reporting.presentation.panels import find_pair, network_input, segmented, telling_images
from nas_attn.reporting.presentation.pictures import class_colours, draw_errors, draw_labels, draw_map
from nas_attn.training import initialise
from nas_attn.training.evaluation import DataSource, TrainingEvaluator

PLAIN = UNetConfig(1, 2, depth=2).plain
GATED = PLAIN.replace(Location.parse("skip.0"), AttentionSpec("gate"))
PANELS = Panels(
    ("Trained again.",),
    (("nucleus", "#e69f00"),),
    (
        Panel(
            "a.png", "worst", 0.5, 0.4, (Picture("image", "an image", b"one"), Picture("truth", "truth", b"two"))
        ),
    ),
)
KEY = {"placement": {"skip.0": "gate"}, "seed": 3}


def record(number: int, placement: object, seed: int, iou: float, steps: int = 10) -> TrialRecord:
    outcome = Outcome(Score(iou, (iou, iou), 0.5), Cost(1, 1), (), 1.0)
    return TrialRecord(
        number,
        placement,
        Budget(steps, 16, 2),
        seed,
        Role.PROPOSAL,
        State.COMPLETE,
        outcome=outcome,  # type: ignore[arg-type]
    )


def test_the_pair_shares_its_smallest_seed_and_its_budget() -> None:
    records = [
        record(0, PLAIN, 0, 0.5, steps=20),
        record(1, PLAIN, 1, 0.5),
        record(2, PLAIN, 2, 0.5),
        record(3, GATED, 0, 0.6),
        record(4, GATED, 2, 0.6),
        record(5, GATED, 1, 0.6),
    ]
    pair = find_pair(records, rank(records))
    assert pair is not None
    assert (pair.winner_run.number, pair.plain_run.number) == (5, 1)


def test_behind_a_leading_plain_network_the_best_with_attention_is_shown() -> None:
    records = [record(0, PLAIN, 0, 0.9), record(1, GATED, 0, 0.6)]
    pair = find_pair(records, rank(records))
    assert pair is not None
    assert pair.winner.rank == 2


@pytest.mark.parametrize(
    "records",
    [
        [],
        [record(0, PLAIN, 0, 0.5)],
        [record(0, GATED, 0, 0.5)],
        [record(0, GATED, 0, 0.5), record(1, PLAIN, 1, 0.5)],
    ],
    ids=["nothing", "plain alone", "no plain", "no seed in common"],
)
def test_without_two_runs_to_compare_there_is_no_pair(records: list[TrialRecord]) -> None:
    assert find_pair(records, rank(records)) is None


@pytest.mark.parametrize(
    ("ious", "expected"),
    [
        ([0.5], {0: "best"}),
        ([0.5, 0.2], {1: "worst", 0: "best"}),
        ([0.5, 0.2, 0.9], {1: "worst", 0: "median", 2: "best"}),
        ([0.5, 0.5, 0.5, 0.5, 0.1], {4: "worst", 1: "median", 3: "best"}),
    ],
)
def test_worst_median_and_best_with_ties_by_name(ious: list[float], expected: dict[int, str]) -> None:
    chosen = telling_images(ious, "abcde"[: len(ious)])
    assert chosen == expected
    assert list(chosen) == list(expected)


@pytest.mark.parametrize(("task", "frames"), [("synthetic", 1), ("clips", 3)])
def test_labels_and_ious_of_panels_are_those_of_each_image_in_its_window(task: str, frames: int) -> None:
    """In NumPy, by hand: the last window of a clip of five frames shows only two new ones."""
    source = DataSource(image_size=16, n_train=1, n_val=2, task=task)
    data = source.load()
    config = UNetConfig(data.in_channels, len(data.classes), depth=2, base_channels=4, frames=frames)
    evaluator = TrainingEvaluator(config, source)
    network = build_unet(config, config.plain.replace(Location.parse("skip.0"), AttentionSpec("se")))
    initialise(network, 0)
    labels, ious = segmented(network.eval(), evaluator)

    assert len(labels) == len(ious) == len(data.val)
    mean, std = (np.array(values)[:, None, None] for values in (data.mean, data.std))
    for index, (label, iou) in enumerate(zip(labels, ious, strict=True)):
        image = ((data.val.image(index).numpy() - mean) / std).astype(np.float32)
        with torch.no_grad():
            predicted = network(torch.from_numpy(image[None]))[0].numpy().argmax(0)
        assert (label.numpy() == predicted).mean() > 0.99
        truth, found = data.val.mask(index).numpy(), label.numpy()
        unions = [(((found == k) | (truth == k)) & (truth != 255)).sum() for k in range(config.classes)]
        expected = [((found == k) & (truth == k)).sum() / union for k, union in enumerate(unions) if union]
        assert iou == pytest.approx(np.mean(expected))


def test_an_image_is_shown_to_the_modules_in_the_window_in_which_it_is_scored() -> None:
    source = DataSource(image_size=16, n_train=1, n_val=2, task="clips")
    data = source.load()
    length = data.val.clips[0]
    evaluator = TrainingEvaluator(UNetConfig(1, len(data.classes), depth=2, base_channels=4, frames=3), source)
    for index in range(len(data.val)):
        inputs, place = network_input(index, evaluator)
        clip, frame = divmod(index, length)
        expected = (data.val.image(index).numpy() - data.mean[0]) / data.std[0]
        assert np.allclose(inputs[place].numpy(), expected, atol=1e-5)
        first = index - place
        assert clip * length <= first <= clip * length + length - 3
        assert place == frame % 3 or first == clip * length + length - 3


def test_panels_are_read_as_they_were_written(tmp_path: Path) -> None:
    write_panels(PANELS, tmp_path / "panels", KEY)
    assert read_panels(tmp_path / "panels", KEY) == PANELS
    assert read_panels(tmp_path / "panels") == PANELS


def test_panels_of_another_winner_are_not_taken_and_are_replaced_whole(tmp_path: Path) -> None:
    write_panels(PANELS, tmp_path, KEY)
    assert read_panels(tmp_path, {**KEY, "seed": 4}) is None
    fewer = replace(PANELS, panels=(replace(PANELS.panels[0], why="best"),))
    write_panels(fewer, tmp_path, {**KEY, "seed": 4})
    assert read_panels(tmp_path, {**KEY, "seed": 4}) == fewer
    assert not list(tmp_path.glob("*worst*"))


def test_pictures_of_others_are_kept_and_a_folder_of_others_is_refused(tmp_path: Path) -> None:
    write_panels(PANELS, tmp_path / "panels", KEY)
    (tmp_path / "panels" / "figure.png").write_bytes(b"mine")
    write_panels(PANELS, tmp_path / "panels", KEY)
    assert (tmp_path / "panels" / "figure.png").read_bytes() == b"mine"

    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs" / "0-worst-0.png").write_bytes(b"mine")
    with pytest.raises(StudyError, match="theirs: holds files that nas-attn did not write"):
        write_panels(PANELS, tmp_path / "theirs", KEY)
    assert [path.read_bytes() for path in (tmp_path / "theirs").iterdir()] == [b"mine"]


def test_panels_of_earlier_versions_that_bear_no_mark_are_replaced(tmp_path: Path) -> None:
    write_panels(PANELS, tmp_path, KEY)
    (tmp_path / MARK).unlink()
    write_panels(PANELS, tmp_path, {**KEY, "seed": 4})
    assert read_panels(tmp_path, {**KEY, "seed": 4}) == PANELS


@pytest.mark.parametrize(
    "damage",
    [
        lambda folder: next(folder.glob("*.png")).unlink(),
        lambda folder: (folder / "panels.json").write_text("{"),
        lambda folder: (folder / "panels.json").write_text("[]"),
        lambda folder: (folder / "panels.json").unlink(),
    ],
    ids=["a picture is gone", "cut off", "something else", "no index"],
)
def test_damaged_panels_count_as_none(tmp_path: Path, damage: Callable[[Path], object]) -> None:
    write_panels(PANELS, tmp_path, KEY)
    damage(tmp_path)
    assert read_panels(tmp_path, KEY) is None


@pytest.mark.parametrize(
    "colour", ['red"><script>alert(1)</script>', "#12345", "url(//evil.example)", "", 7, None]
)
def test_what_is_no_colour_never_gets_into_a_page(tmp_path: Path, colour: object) -> None:
    write_panels(PANELS, tmp_path, KEY)
    index = json.loads((tmp_path / "panels.json").read_text())
    index["classes"][0][1] = colour
    (tmp_path / "panels.json").write_text(json.dumps(index))
    assert read_panels(tmp_path, KEY) is None


def test_panels_for_which_there_is_no_room_are_refused_in_words(
    tmp_path: Path, room_for: Callable[[int | None], None]
) -> None:
    write_panels(PANELS, tmp_path, KEY)
    room_for(100)
    with pytest.raises(StudyError, match="the prediction panels cannot be written: File too large"):
        write_panels(PANELS, tmp_path, KEY)
    assert read_panels(tmp_path) is None
    assert sorted(path.suffix for path in tmp_path.iterdir()) == [".TAG", ".png", ".png"]


def test_an_index_cannot_reach_out_of_its_folder(tmp_path: Path) -> None:
    (tmp_path / "secret.png").write_bytes(b"secret")
    write_panels(PANELS, tmp_path / "panels", KEY)
    index = tmp_path / "panels" / "panels.json"
    index.write_text(index.read_text().replace("0-worst-0.png", "../secret.png"))
    assert read_panels(tmp_path / "panels", KEY) is None


def pixels(picture: Picture) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(picture.png)).convert("RGB")).astype(int)


def test_a_map_goes_from_blue_to_yellow_and_is_grey_where_nothing_is() -> None:
    values = torch.linspace(0.5, 1.5, 200).view(1, 200).repeat(2, 1)
    values[1, 100] = torch.nan
    picture = draw_map(values, "gate at skip.0")
    drawn = pixels(picture)
    assert picture.caption == "gate at skip.0: x0.51 to x1.49"
    assert tuple(drawn[0, 0]) == (0, 34, 78)
    assert tuple(drawn[0, -1]) == (254, 232, 56)
    assert tuple(drawn[1, 100]) == (138, 143, 152)
    luminance = drawn[0] @ np.array([0.2126, 0.7152, 0.0722])
    assert (np.diff(luminance) >= -1).all()  # read alike in grey


def test_a_map_without_values_is_grey() -> None:
    drawn = pixels(draw_map(torch.full((4, 4), torch.nan), "x"))
    assert (drawn == (138, 143, 152)).all()


def test_labels_are_told_in_words_and_ignored_ones_are_left_out() -> None:
    labels = torch.tensor([[0, 1, 1, 255]], dtype=torch.uint8).repeat(4, 1)
    grey = torch.full((1, 4, 4), 100, dtype=torch.uint8)
    picture = draw_labels(grey, labels, classes=("background", "nucleus"), caption="truth")
    assert picture.words == "truth: nucleus 50% of the pixels"
    assert tuple(pixels(picture)[0, 3]) == (100, 100, 100)
    assert class_colours(("background", "nucleus")) == (("nucleus", "#e69f00"),)


def test_a_large_picture_is_made_smaller() -> None:
    picture = draw_map(torch.rand(900, 450), "x")
    assert Image.open(io.BytesIO(picture.png)).size == (192, 384)


def test_a_map_of_errors_marks_what_is_wrong_and_never_what_is_ignored() -> None:
    grey = torch.full((1, 2, 4), 128, dtype=torch.uint8)
    truth = torch.tensor([[0, 1, 1, 255], [0, 0, 1, 255]], dtype=torch.uint8)
    labels = torch.tensor([[1, 1, 0, 1], [0, 0, 1, 0]], dtype=torch.uint8)
    picture = draw_errors(grey, labels, truth, caption="errors, baseline")
    pixels = np.asarray(Image.open(io.BytesIO(picture.png)).convert("RGB"))
    red = (pixels[..., 0] > 200) & (pixels[..., 2] < 50)
    assert red.tolist() == [[True, False, True, False], [False] * 4]
    assert picture.caption == "errors, baseline, 33.3%"  # two of six that are labelled
