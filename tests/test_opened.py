"""A study from a notebook: tables, figures, the network, and data from memory."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

import nas_attn
from nas_attn.data import read_folder
from nas_attn.data.from_memory import folder_of_data
from nas_attn.errors import DataError, MissingPackageError, StudyError, UsageError
from tests.searching import TINY, search_here


@contextlib.contextmanager
def searching_here() -> Iterator[pytest.MonkeyPatch]:
    """Few images, and no processes."""
    with pytest.MonkeyPatch.context() as patch:
        search_here(patch)
        yield patch


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("notebook")
    with searching_here() as patch:
        patch.chdir(made)
        nas_attn.search(**TINY, trials=20, study="mine", strategy="random")  # type: ignore[arg-type]
    return made


@pytest.fixture
def study(folder: Path, monkeypatch: pytest.MonkeyPatch) -> object:
    monkeypatch.chdir(folder)
    return nas_attn.open_study("mine")


def test_everything_that_a_notebook_prints_is_short(study: object) -> None:
    for shown in (study, study.ranking, study.effects, study.best, study.draw(), study.ranking.ranking):  # type: ignore[attr-defined]
        assert len(repr(shown)) < 200
    assert repr(study).startswith("<study 'mine': 20 trials, ")


def test_a_result_is_short_too(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    with searching_here():
        result = nas_attn.search(**TINY, trials=20, study="mine", strategy="random")  # type: ignore[arg-type]
    assert len(repr(result)) < 200
    assert "<b>" in result._repr_html_()


def test_tables_know_themselves_as_html(study: object) -> None:
    html = study.ranking._repr_html_()  # type: ignore[attr-defined]
    assert html.count("<tr>") == 1 + min(10, len(study.ranking))  # type: ignore[attr-defined]
    assert "baseline (plain U-Net)" in html
    assert "<table>" in study._repr_html_()  # type: ignore[attr-defined]
    assert study.best._repr_html_().endswith("</svg>")  # type: ignore[attr-defined]


def test_the_ranking_is_a_data_frame(study: object) -> None:
    pytest.importorskip("pandas")
    frame = study.ranking.to_pandas()  # type: ignore[attr-defined]
    assert list(frame["rank"]) == list(range(1, len(frame) + 1))
    assert {"placement", "iou_mean", "macs", "iou_background"} <= set(frame.columns)
    row = study.ranking.rows[0]  # type: ignore[attr-defined]
    assert frame.iloc[0].placement_id == row.placement.id
    assert frame.iloc[0].iou_mean == row.iou_mean


def test_effects_are_a_data_frame(study: object) -> None:
    pytest.importorskip("pandas")
    frame = study.effects.to_pandas()  # type: ignore[attr-defined]
    assert len(frame) == len(study.effects) > 0  # type: ignore[attr-defined]
    assert (frame.ci_low <= frame.effect).all()


def test_without_pandas_the_install_line_is_told(study: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(MissingPackageError, match="pip install pandas"):
        study.ranking.to_pandas()  # type: ignore[attr-defined]


def test_figures_are_those_of_the_report(study: object) -> None:
    front = study.plot_front()  # type: ignore[attr-defined]
    marks = sum(len(trace.x) for trace in front.data if trace.mode == "markers")
    assert marks == len(study.ranking)  # type: ignore[attr-defined]
    assert study.plot_effects().data[0].type == "heatmap"  # type: ignore[attr-defined]


def test_the_best_is_a_network(study: object, tmp_path: Path) -> None:
    logits = study.best.model()(torch.zeros(1, 3, 32, 32))  # type: ignore[attr-defined]
    assert logits.shape == (1, 3, 32, 32)
    first = next(row for row in study.ranking if not row.is_plain)  # type: ignore[attr-defined]
    assert study.pick("first").placement == first.placement  # type: ignore[attr-defined]
    drawn = study.draw().save(tmp_path / "first.svg")  # type: ignore[attr-defined]
    assert drawn.read_text().startswith("<svg")


def test_an_export_is_that_of_the_command(study: object, tmp_path: Path) -> None:
    (saved,) = study.export(tmp_path / "best.yaml")  # type: ignore[attr-defined]
    assert nas_attn.load(saved.path) is not None


def test_a_study_is_verified_from_a_notebook(study: object) -> None:
    found = next(row for row in study.ranking if not row.is_plain)  # type: ignore[attr-defined]
    with searching_here():
        result = study.verify(seeds=2, pick=f"id:{found.placement.id}", workers=1, device="cpu")  # type: ignore[attr-defined]
    assert result.winner == found.placement
    assert result.to_baseline is not None
    assert result.to_baseline.n_seeds <= 2


def test_a_study_that_is_not_there_is_told_of_at_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    with pytest.raises(StudyError, match="did you mean 'mine'"):
        nas_attn.open_study("mime")


def pictures(number: int = 12) -> tuple[np.ndarray, np.ndarray]:
    """Dark images with a bright square, and where it is."""
    chance = np.random.default_rng(0)
    images = chance.integers(0, 90, (number, 24, 20, 3), dtype=np.uint8)
    masks = np.zeros((number, 24, 20), dtype=np.int64)
    for one in range(number):
        top, left = chance.integers(0, 12, 2)
        masks[one, top : top + 8, left : left + 8] = 1
    images[masks == 1] += 120
    return images, masks


def as_dataset(images: np.ndarray, masks: np.ndarray) -> torch.utils.data.Dataset:
    tensors = torch.from_numpy(images).permute(0, 3, 1, 2), torch.from_numpy(masks)
    return torch.utils.data.TensorDataset(*tensors)


@pytest.mark.parametrize("form", ["arrays", "tensors", "dataset", "list"])
def test_data_in_memory_are_read_as_they_are(form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    images, masks = pictures()
    dataset = as_dataset(images, masks)
    data = {
        "arrays": (images, masks),
        "tensors": (torch.from_numpy(images).permute(0, 3, 1, 2), torch.from_numpy(masks)),
        "dataset": dataset,
        "list": list(zip(images, masks, strict=True)),
    }[form]
    found = read_folder(folder_of_data(data))
    assert len(found.train) + len(found.val) + len(found.test) == len(images)
    for split in (found.train, found.val, found.test):
        for number, name in enumerate(split.names):
            assert (split.image(number).permute(1, 2, 0).numpy() == images[int(name)]).all()
            assert (split.mask(number).numpy() == masks[int(name)]).all()


def test_the_same_data_have_the_same_folder_and_others_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    images, masks = pictures()
    first = folder_of_data((images, masks))
    assert folder_of_data(list(zip(images, masks, strict=True))) == first
    other = images.copy()
    other[0, 0, 0, 0] ^= 1
    assert folder_of_data((other, masks)) != first


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (7, "a int is not data; give a folder, a pair"),
        ((np.zeros((2, 8, 8)), np.zeros((3, 8, 8))), "as many masks as images"),
        ([(np.zeros((8, 8)) - 1.0, np.zeros((8, 8)))], "image 0 holds float64 from -1 to -1"),
        ([(np.zeros((8, 8)), np.full((8, 8), 0.5))], "mask 0 must hold whole numbers from 0 to 255"),
        ([(np.zeros((8, 8)), np.zeros((8, 8, 8)))], "mask 0 has the shape"),
        ([np.zeros((8, 8))], "item 0 is no"),
        ([], "holds no image"),
    ],
)
def test_what_is_no_data_is_told(
    data: object, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match=message):
        folder_of_data(data)


def test_arrays_are_searched_trained_and_predicted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    data = pictures()
    with searching_here():
        nas_attn.search(**TINY, data=data, trials=3, study="arrays", progress=True)  # type: ignore[arg-type]
    result = nas_attn.train("arrays", data, "run", epochs=1, batch_size=2, crop=16, accelerator="cpu")
    assert result.trained.epochs == 1
    (image, *_) = sorted(Path("nas-attn-data").glob("*/images/*.npy"))
    report = nas_attn.predict("run", image, "out", accelerator="cpu")
    assert [prediction.mask.name for prediction in report.predictions] == ["00000.png"]


def test_an_unknown_setting_of_a_training_is_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="unknown setting 'epoch'; did you mean 'epochs'"):
        nas_attn.train("best.yaml", "synthetic", tmp_path, epoch=3)
