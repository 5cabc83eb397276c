"""From what was asked to what will be done: presets, files and flags; problems together."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from nas_attn.config.checks import STUDY_NAME
from nas_attn.config.settings import PRECISIONS, StudyRequest
from nas_attn.errors import DataError, UsageError
from nas_attn.space import Ceiling
from nas_attn.study.setup import preset as presets
from nas_attn.study.setup.preset import CPU_FOLDER, CPU_SYNTHETIC, find_devices
from nas_attn.study.setup.resolve import Resolved, resolve
from nas_attn.study.workers.worker_count import n_cores

ASK = StudyRequest(space="unet_attention_small", device="cpu", workers=1)


@pytest.fixture(autouse=True)
def few_images(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(presets, "CPU_SYNTHETIC", replace(CPU_SYNTHETIC, n_train=4, n_val=2))


@pytest.fixture
def space_file(tmp_path: Path) -> Path:
    path = tmp_path / "mine.yaml"
    path.write_text(
        """
version: 1
name: mine
description: for a test
network: {family: unet, depth: 2, norm: group, upsampling: bilinear, base_channels: 6, image_size: 24}
start: paper
choices:
  skip: [none, se]
limits: {max_positions: 4096, max_macs: 1.9x}
""",
        encoding="utf-8",
    )
    return path


@pytest.fixture
def make_data(tmp_path: Path) -> Callable[..., Path]:
    """A folder with two images of a size in each split."""

    def make(height: int, width: int, name: str = "data") -> Path:
        random = np.random.default_rng(0)
        for split in ("train", "val", "test"):
            for number in range(2):
                for part, top in (("images", 256), ("masks", 2)):
                    path = tmp_path / name / part / split / f"{number}.png"
                    path.parent.mkdir(parents=True, exist_ok=True)
                    Image.fromarray(random.integers(0, top, (height, width)).astype(np.uint8)).save(path)
        return tmp_path / name

    return make


def sizes(resolved: Resolved) -> tuple[int, ...]:
    settings = resolved.settings
    budget = settings.budget
    return settings.space.network.base_channels, budget.image_size, budget.batch_size, budget.steps


def test_what_is_left_open_is_the_presets() -> None:
    resolved = resolve(ASK)

    preset = CPU_SYNTHETIC
    assert sizes(resolved) == (preset.base_channels, preset.image_size, preset.batch_size, preset.steps)
    assert resolved.preset.name == preset.name
    assert resolved.request.precision in PRECISIONS
    assert str(resolved.settings.precision) == resolved.request.precision
    assert resolved.settings.devices == ("cpu",)


def test_a_space_file_has_the_last_word_before_flags(space_file: Path) -> None:
    ask = replace(ASK, space=str(space_file))

    assert sizes(resolve(ask))[:2] == (6, 24)
    assert sizes(resolve(replace(ask, base_channels=4, image_size=16, batch_size=3, steps=9))) == (4, 16, 3, 9)


def test_every_choice_is_written_out(space_file: Path) -> None:
    request = resolve(replace(ASK, space=str(space_file))).request

    assert (request.study, request.base_channels, request.image_size) == ("mine", 6, 24)
    assert None not in (request.batch_size, request.steps, request.longest_side)


def test_the_network_has_the_channels_and_classes_of_the_data(make_data: Callable[..., Path]) -> None:
    network = resolve(replace(ASK, data=str(make_data(20, 30)))).settings.space.network

    assert (network.in_channels, network.classes) == (1, 2)
    assert resolve(ASK).settings.space.network.classes == 3


def test_costs_are_those_of_the_largest_image_that_is_judged(make_data: Callable[..., Path]) -> None:
    ask = replace(ASK, data=str(make_data(20, 30)))

    assert resolve(replace(ask, image_size=16)).settings.space.width == 30
    assert resolve(replace(ask, image_size=40)).settings.space.width == 40


@pytest.mark.parametrize(("longest", "seen"), [(2048, 2048), (2100, 1024)])
def test_of_images_that_are_judged_in_tiles_costs_are_those_of_a_tile(
    make_data: Callable[..., Path], longest: int, seen: int
) -> None:
    ask = replace(ASK, data=str(make_data(20, longest)), longest_side="full", image_size=16)
    assert resolve(ask).settings.space.width == seen


def test_a_positions_limit_is_judged_at_that_size(make_data: Callable[..., Path]) -> None:
    """After three halvings of 640 pixels there are 80 * 80 positions, more than the 4096 that pam may have."""
    ask = replace(ASK, longest_side="full", image_size=16)
    small, large = (
        resolve(replace(ask, data=str(make_data(side, side, name)))).settings.space
        for side, name in ((64, "s"), (640, "l"))
    )

    assert len(small.dropped) == 0
    assert {str(gone.spec) for gone in large.dropped} == {"pam"}


def test_ceilings_reach_the_space_and_replace_the_files(space_file: Path) -> None:
    ask = replace(ASK, space=str(space_file))
    untouched, changed = (resolve(one).settings.space.limits for one in (ask, replace(ask, max_macs="1.2x")))

    assert untouched.max_macs == Ceiling.parse("1.9x")
    assert (changed.max_macs, changed.max_parameters) == (Ceiling.parse("1.2x"), None)
    assert resolve(replace(ask, max_parameters="2M")).settings.space.limits.max_parameters == Ceiling.parse("2M")


def test_a_start_reaches_every_attention(space_file: Path) -> None:
    space = resolve(replace(ASK, space=str(space_file), start="identity")).settings.space

    assert {str(spec) for _, specs in space.choices for spec in specs} == {"none", "se(start=identity)"}


def test_all_problems_are_told_together() -> None:
    with pytest.raises(UsageError) as caught:
        resolve(StudyRequest(space="unet_atention", strategy="tpee", device="cuda:99", data="nowhere/at/all"))

    strategy, space, device, data = caught.value.problems
    assert strategy == "unknown strategy 'tpee'; did you mean 'tpe'?"
    assert "unknown search space 'unet_atention'; did you mean 'unet_attention'?" in space
    assert "--device cuda:99: t" in device
    assert data.startswith("--data nowhere/at/all: there is no such folder")


def test_every_problem_of_a_space_file_is_told(space_file: Path) -> None:
    space_file.write_text(
        space_file.read_text().replace("[none, se]", "[none, see]").replace("depth: 2", "depth: 9")
    )
    with pytest.raises(UsageError) as caught:
        resolve(replace(ASK, space=str(space_file)))

    text = str(caught.value)
    assert "unknown attention 'see'; did you mean 'se'?" in text
    assert "depth" in text


def test_images_too_small_for_the_depth_are_named(make_data: Callable[..., Path]) -> None:
    with pytest.raises(
        DataError, match=r"too small for a U-Net of depth 3, which needs 8 pixels a side: .*is 6x30"
    ):
        resolve(replace(ASK, data=str(make_data(6, 30))))


def test_shrinking_can_make_images_too_small(make_data: Callable[..., Path]) -> None:
    ask = replace(ASK, data=str(make_data(16, 64)))

    assert resolve(ask)
    with pytest.raises(DataError, match="too small for a U-Net of depth 3"):
        resolve(replace(ask, longest_side=16))


def test_crops_too_small_for_the_depth_are_refused(make_data: Callable[..., Path]) -> None:
    data = str(make_data(20, 30))

    with pytest.raises(UsageError, match=r"--image-size: crops of 7 pixels .* depth 3; take at least 8"):
        resolve(replace(ASK, data=data, image_size=7))
    with pytest.raises(UsageError, match=r"--batch-size: .* one crop of 8 pixels.*at least 16"):
        resolve(replace(ASK, data=data, image_size=8, batch_size=1))
    assert resolve(replace(ASK, data=data, image_size=16, batch_size=1))


@pytest.mark.parametrize(("asked", "largest"), [(None, CPU_FOLDER.longest_side), (40, 40), ("full", 200)])
def test_larger_images_are_shrunk_to_the_longest_side(
    make_data: Callable[..., Path], asked: int | str | None, largest: int
) -> None:
    resolved = resolve(replace(ASK, data=str(make_data(60, 200)), longest_side=asked))

    assert max(resolved.dataset.val.widths) == largest
    assert resolved.request.longest_side == (asked or CPU_FOLDER.longest_side)


@pytest.mark.parametrize(
    ("name", "channels", "classes"), [("dsb2018_nuclei", 3, 2), ("usgra_nerves", 1, 3), ("lara_coffee_leaf", 3, 3)]
)
def test_real_data_resolve(shared_data: Path, name: str, channels: int, classes: int) -> None:
    resolved = resolve(replace(ASK, data=str(shared_data / "mini" / name)))
    network = resolved.settings.space.network

    assert (network.in_channels, network.classes) == (channels, classes)
    assert resolved.settings.study == f"unet_attention_small-{name}"
    assert resolved.costs.plain.macs > 0


@pytest.mark.parametrize("name", ["my data (1)", "Zellen-Bilder.v2", "..x", "细胞", "a" * 90])
def test_the_name_made_of_a_folder_is_a_name(make_data: Callable[..., Path], name: str) -> None:
    study = resolve(replace(ASK, data=str(make_data(20, 30, name)))).settings.study

    assert STUDY_NAME.fullmatch(study)
    assert study.startswith("unet_attention_small-")


def test_workers_take_the_devices_in_turn() -> None:
    resolved = resolve(replace(ASK, workers=3))
    several = replace(resolved, settings=replace(resolved.settings, devices=("cuda:0", "cuda:1"), workers=3))

    assert [one.device for one in several.evaluators()] == ["cuda:0", "cuda:1", "cuda:0"]
    assert [one.device for one in resolved.evaluators()] == ["cpu"] * 3


def test_an_evaluator_measures_costs_at_the_size_of_the_space(make_data: Callable[..., Path]) -> None:
    resolved = resolve(replace(ASK, data=str(make_data(20, 30)), image_size=16))

    assert resolved.evaluators()[0].cost_size == (30, 30)
    assert (
        resolved.costs.plain.macs
        == resolve(replace(ASK, data=str(make_data(20, 30)), image_size=30)).costs.plain.macs
    )


def test_one_worker_for_each_core_or_gpu() -> None:
    assert resolve(replace(ASK, workers="auto")).settings.workers == n_cores() >= 1
    assert find_devices("cpu") == ("cpu",)


def test_a_ladder_ends_with_the_budget_of_the_search() -> None:
    settings = resolve(replace(ASK, ladder="20,60,180")).settings

    assert settings.budget.steps == 180
    assert [budget.steps for budget in settings.ladder_below(settings.budget)] == [20, 60, 180]


def test_a_ladder_of_shares_hangs_below_the_steps() -> None:
    settings = resolve(replace(ASK, ladder="auto", steps=90)).settings

    assert [budget.steps for budget in settings.ladder_below(settings.budget)] == [10, 30, 90]


def test_the_doubling_begins_with_a_quarter_of_the_preset() -> None:
    settings = resolve(replace(ASK, budget="auto")).settings

    assert settings.find_budget
    assert settings.budget.steps == CPU_SYNTHETIC.steps // 4


@pytest.mark.parametrize(
    ("asked", "finds"),
    [
        ({}, True),
        ({"ladder": "auto"}, True),
        ({"steps": 90}, False),
        ({"ladder": "20,60,180"}, False),
    ],
    ids=["nothing said", "a ladder of shares", "steps", "a ladder of steps"],
)
def test_own_images_are_trained_for_as_long_as_it_takes_unless_somebody_says_how_long(
    make_data: Callable[..., Path], asked: dict[str, Any], finds: bool
) -> None:
    settings = resolve(replace(ASK, data=str(make_data(20, 20)), image_size=16, **asked)).settings

    assert settings.find_budget is finds


def test_with_a_timeout_the_trials_are_not_counted() -> None:
    assert resolve(ASK).settings.trials == 200
    assert resolve(replace(ASK, timeout="30m")).settings.trials > 10**5
    assert resolve(replace(ASK, timeout="30m", trials=50)).settings.trials == 50
    assert resolve(replace(ASK, timeout="30m")).settings.timeout == 1800


def test_max_cost_is_the_ceiling_of_the_second_objective() -> None:
    macs = resolve(replace(ASK, max_cost="1.2x")).settings.space.limits
    parameters = resolve(replace(ASK, max_cost="1.2x", cost="parameters")).settings.space.limits

    assert (macs.max_macs, parameters.max_parameters) == (Ceiling.parse("1.2x"), Ceiling.parse("1.2x"))


def test_a_ceiling_of_the_latency_is_the_studys_and_not_the_spaces() -> None:
    """It holds for one device, and a space for all."""
    limited = resolve(replace(ASK, max_cost="1.2x", cost="latency")).settings
    free = resolve(replace(ASK, cost="latency")).settings

    assert limited.max_latency == Ceiling.parse("1.2x")
    assert limited.space == free.space
    assert free.identity() == {k: v for k, v in limited.identity().items() if k != "max latency"}


def test_what_contradicts_itself_is_told_together() -> None:
    with pytest.raises(UsageError) as caught:
        resolve(replace(ASK, ladder="20,60", budget="auto", steps=30, max_cost="1.2x", cost="memory"))

    assert caught.value.problems == (
        "--ladder 20,60: --budget auto finds the last rung itself; give --ladder auto with it",
        "--steps 30: the ladder ends with 60 steps; give only one of the two",
        "--max-cost 1.2x: memory is known only after a measurement, so it can't limit what is proposed; use "
        "--max-macs or --max-parameters",
    )


def test_two_ceilings_of_one_cost_are_told() -> None:
    with pytest.raises(
        UsageError, match=r"--max-cost 1\.2x: --max-macs limits the same cost; give only one of the two"
    ):
        resolve(replace(ASK, max_cost="1.2x", max_macs="2x"))


@pytest.mark.parametrize(
    ("asked", "steps"),
    [({}, [20, 60, 180]), ({"ladder": "30,90"}, [30, 90]), ({"steps": 50}, [50])],
    ids=["nothing", "another ladder", "one budget"],
)
def test_a_space_may_bring_its_ladder(space_file: Path, asked: dict[str, object], steps: list[int]) -> None:
    space_file.write_text(space_file.read_text(encoding="utf-8") + "ladder: [20, 60, 180]\n", encoding="utf-8")
    settings = resolve(replace(ASK, space=str(space_file), **asked)).settings  # type: ignore[arg-type]

    assert [budget.steps for budget in settings.ladder_below(settings.budget)] == steps


@pytest.fixture
def make_clips(make_data: Callable[..., Path]) -> Callable[[int], Path]:
    """A folder with one clip in each split."""

    def make(frames: int) -> Path:
        folder = make_data(20, 20, "film")
        random = np.random.default_rng(1)
        for split in ("train", "val", "test"):
            for part, top in (("images", 256), ("masks", 2)):
                home = folder / part / split
                for still in home.iterdir():
                    still.unlink()
                (home / "walk").mkdir()
                for number in range(frames):
                    values = random.integers(0, top, (20, 20)).astype(np.uint8)
                    Image.fromarray(values).save(home / "walk" / f"{number}.png")
        return folder

    return make


def test_clips_go_through_in_the_preset_number_of_frames_and_batches_hold_fewer_of_them() -> None:
    resolved = resolve(replace(ASK, data="clips"))

    assert resolved.settings.space.network.frames == resolved.request.frames == 4
    assert resolved.settings.budget.batch_size == 4
    assert resolved.settings.data_name == "clips"
    assert resolved.settings.study == "unet_attention_small-clips"


def test_a_space_and_a_flag_may_say_how_many_frames(make_clips: Callable[[int], Path]) -> None:
    data = str(make_clips(6))

    assert resolve(replace(ASK, data=data)).settings.space.network.frames == 4
    flagged = resolve(replace(ASK, data=data, frames=6, batch_size=2)).settings
    assert (flagged.space.network.frames, flagged.budget.batch_size) == (6, 2)
    assert resolve(replace(ASK, data=data, frames=1)).settings.space.network.frames == 1
    written = replace(ASK, space="unet_attention_clips", data=data)
    assert resolve(written).settings.space.network.frames == 4


def test_clips_that_are_shorter_than_the_preset_are_seen_whole(make_clips: Callable[[int], Path]) -> None:
    assert resolve(replace(ASK, data=str(make_clips(3)))).settings.space.network.frames == 3


def test_clips_that_are_too_short_are_refused(make_clips: Callable[[int], Path]) -> None:
    data = make_clips(3)
    with pytest.raises(UsageError) as refused:
        resolve(replace(ASK, data=str(data), frames=5))
    assert refused.value.problems == (
        f"--data {data}: its shortest clip, train/walk, has 3 frames, and 5 are to go through the network "
        "together; take --frames 3, or longer clips",
    )


def test_a_clip_of_one_frame_is_named(make_clips: Callable[[int], Path]) -> None:
    data = make_clips(1)
    with pytest.raises(UsageError) as refused:
        resolve(replace(ASK, space="unet_attention_clips", data=str(data)))
    assert refused.value.problems == (
        f"--data {data}: its shortest clip, train/walk, has 1 frame, and 4 are to go through the network "
        "together; leave it out, or give it more",
    )


def test_a_space_that_looks_at_clips_is_refused_on_still_images() -> None:
    with pytest.raises(UsageError) as refused:
        resolve(replace(ASK, space="unet_attention_clips"))
    assert refused.value.problems == (
        "--data synthetic: its images are still, and unet_attention_clips looks at clips of 4 frames (gltr, tam); "
        "give --data clips or a folder with images/train/CLIP/0001.png, or take another space",
    )


def test_frames_are_refused_on_still_images(make_data: Callable[..., Path]) -> None:
    data = make_data(20, 20)
    with pytest.raises(
        UsageError, match=rf"^--data {data}: its images are still, and --frames is 2; leave it out, or give"
    ):
        resolve(replace(ASK, data=str(data), frames=2))


def test_a_space_with_kinds_for_clips_must_say_how_many_frames(tmp_path: Path) -> None:
    path = tmp_path / "film.yaml"
    path.write_text(
        "version: 1\nname: film\nnetwork: {family: unet, depth: 2}\nchoices:\n  skip: [none, tam, se, gltr]\n",
        encoding="utf-8",
    )
    with pytest.raises(UsageError) as refused:
        resolve(replace(ASK, space=str(path)))
    assert refused.value.problems == (
        f"{path}: line 5: choices: tam and gltr look at the frames of a clip together, but the network sees "
        "single images; give it frames of 2 or more (network: {frames: 4}) and search clips (--data clips, or "
        "a folder with images/train/CLIP/0001.png)",
    )
    assert resolve(replace(ASK, space=str(path), data="clips", frames=2)).settings.space.network.frames == 2


def test_a_study_of_still_images_says_nothing_of_frames() -> None:
    resolved = resolve(ASK)

    assert "frames" not in resolved.settings.identity()["space"]["network"]
    assert "frames" not in resolved.request.to_dict()
