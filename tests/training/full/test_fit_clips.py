"""Training and prediction on clips: whole windows go in, each frame counts once, still images are refused."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from nas_attn.architecture import Architecture
from nas_attn.data import Dataset, smears, synthetic_clips
from nas_attn.errors import TrainingError, UsageError
from nas_attn.models.network import UNetConfig
from nas_attn.models.placement import AttentionSpec, Location
from nas_attn.training import Segmenter, pack_images, score_images
from nas_attn.training.full import FitSettings, predict, train
from nas_attn.training.full.full_training import check_fit

FRAMES = 3


@pytest.fixture(scope="module")
def film() -> Dataset:
    return synthetic_clips(image_size=16, length=5, n_train=3, n_val=2, n_test=2)


@pytest.fixture(scope="module")
def architecture(film: Dataset) -> Architecture:
    network = UNetConfig(1, len(film.classes), depth=2, base_channels=4, frames=FRAMES)
    placement = network.plain.replace(Location.parse("encoder.0"), AttentionSpec("tam"))
    return Architecture(network, placement, film.classes, film.mean, film.std, image_size=16)


class Later(nn.Module):
    """Says of each frame what the last one of its window shows: class 1 where that is bright."""

    def forward(self, x: Tensor) -> Tensor:
        last = x.view(-1, FRAMES, *x.shape[1:])[:, -1:].expand(-1, FRAMES, -1, -1, -1).flatten(0, 1)
        return torch.cat([-last, last, last - 9], 1)


def test_the_test_counts_each_frame_once_as_its_window_has_it(film: Dataset) -> None:
    images = pack_images(film.test, (110.0,), (10.0,), torch.device("cpu"), FRAMES)
    per_class = score_images(Segmenter(Later().eval(), images.mean, images.std, 4), images, 3).iou_per_class
    last = [2, 2, 2, 4, 4, 7, 7, 7, 9, 9]
    bright = (film.test.pixels[last, 0] > 110).numpy()
    truth = film.test.masks.numpy()
    expected = [((bright == value) & (truth == value)).sum() / ((bright == value) | (truth == value)).sum()
                for value in (0, 1)]  # fmt: skip
    assert per_class[:2] == pytest.approx(expected)


@pytest.fixture(scope="module")
def run(architecture: Architecture, film: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "film"
    train(architecture, film, FitSettings(epochs=1, batch_size=2, crop=16, accelerator="cpu"), folder)
    return folder


@pytest.fixture
def clips(film: Dataset, tmp_path: Path) -> Path:
    """Two clips of five frames."""
    for clip in (0, 1):
        for frame in range(5):
            path = tmp_path / "film" / f"clip{clip}" / f"{frame + 8}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(film.test.pixels[5 * clip + frame, 0].numpy()).save(path)
    return tmp_path / "film"


def test_prediction_takes_folders_of_frames_and_writes_what_the_network_says_of_their_windows(
    architecture: Architecture, film: Dataset, run: Path, clips: Path, tmp_path: Path
) -> None:
    told: list[tuple[int, int]] = []
    report = predict(
        architecture, run / "weights.safetensors", [clips], tmp_path / "out", accelerator="cpu",
        report=lambda done, total: told.append((done, total)),
    )  # fmt: skip
    from nas_attn import load

    network = load(run)
    assert report.problems == ()
    assert report.n_clips == 2
    assert told == [(5, 10), (10, 10)]
    assert [prediction.image.name for prediction in report.predictions[:5]] == [f"{n}.png" for n in range(8, 13)]
    inputs = (film.test.pixels.float() - film.mean[0]) / film.std[0]
    for clip in (0, 1):
        first = 5 * clip
        with torch.no_grad():
            early = network(inputs[first : first + 3]).argmax(1)
            late = network(inputs[first + 2 : first + 5]).argmax(1)
        for frame, labels in enumerate([*early, *late[1:]]):
            written = np.asarray(Image.open(tmp_path / "out" / "masks" / f"clip{clip}" / f"{frame + 8}.png"))
            np.testing.assert_array_equal(written, labels.numpy())
    assert (tmp_path / "out" / "overlays" / "clip1" / "12.png").is_file()


def test_one_clip_may_be_named(architecture: Architecture, run: Path, clips: Path, tmp_path: Path) -> None:
    report = predict(architecture, run / "weights.safetensors", [clips / "clip1"], tmp_path / "out")
    assert {prediction.mask.parent.name for prediction in report.predictions} == {"clip1"}
    assert report.n_clips == 1


def test_what_is_no_clip_is_refused(architecture: Architecture, run: Path, clips: Path, tmp_path: Path) -> None:
    for frame in (8, 9, 10):
        (clips / "clip0" / f"{frame}.png").unlink()
    (tmp_path / "single").mkdir()
    (clips / "clip1" / "9.png").rename(tmp_path / "single" / "9.png")
    (tmp_path / "empty").mkdir()
    folders = [clips / "clip0", *(tmp_path / name for name in ("single", "empty", "gone"))]
    paths = [clips / "clip1" / "8.png", *folders]
    with pytest.raises(UsageError) as refused:
        predict(architecture, run / "weights.safetensors", paths, tmp_path / "out")
    more = "this architecture looks at 3 frames of a clip together, so give the folder of a clip"
    assert refused.value.problems == (
        f"{paths[0]}: is a single image; {more}",
        f"{paths[1]}: has 2 frames; clips of 3 or more are needed",
        f"{paths[2]}: has 1 frame; clips of 3 or more are needed",
        f"{paths[3]}: the folder holds neither frames nor folders of frames",
        f"{paths[4]}: no such folder; {more}",
    )


def test_still_images_and_short_clips_are_refused(architecture: Architecture, film: Dataset) -> None:
    still = dataclasses.replace(
        smears(image_size=16, n_train=1, n_val=1, n_test=1), in_channels=1, classes=film.classes
    )
    short = synthetic_clips(image_size=16, length=2, n_train=1, n_val=1, n_test=1)
    with pytest.raises(
        TrainingError, match=r"^the architecture looks at clips of 3 frames, the images of smears a"
    ):
        check_fit(architecture, still, FitSettings())
    with pytest.raises(
        TrainingError, match=r"the shortest of clips has 2; give longer clips, or search with --frames 2"
    ):
        check_fit(architecture, short, FitSettings())


def test_a_network_whose_attention_looks_at_single_frames_predicts_single_images(
    architecture: Architecture, film: Dataset, clips: Path, tmp_path: Path
) -> None:
    plain = dataclasses.replace(architecture, placement=architecture.network.plain)
    settings = FitSettings(epochs=1, batch_size=2, crop=16, accelerator="cpu")
    train(plain, film, settings, tmp_path / "run")
    report = predict(
        plain, tmp_path / "run" / "weights.safetensors", [clips / "clip0" / "8.png"], tmp_path / "out"
    )
    assert [prediction.mask for prediction in report.predictions] == [tmp_path / "out" / "masks" / "8.png"]
    assert report.n_clips is None
