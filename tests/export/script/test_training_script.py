"""The training script: run as its reader would run it, without nas-attn."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import nn

from nas_attn.architecture import Architecture, Found
from nas_attn.budget import Budget
from nas_attn.errors import ExportError
from nas_attn.export.script.file import script_source, write_script
from nas_attn.export.script.loop import class_ious, crops, read_pairs, train
from nas_attn.export.subject import Subject
from nas_attn.models.asked_network import AskedNetwork
from nas_attn.models.described_network import DescribedNetwork
from nas_attn.models.discovery import look_at
from nas_attn.models.placement import AttentionSpec, Location
from nas_attn.training.recipe import Recipe
from tests.models.discovery.test_sites import LIBRARIES

EXAMPLE = Path(__file__).parents[3] / "examples" / "your_network"
NARROW = {"features": [4, 4, 8, 8, 8, 4]}


FOUND = Found(
    "cells", "unet_attention", "tpe", 60, Budget(100, 32, 4), (0, 1), "nuclei", "f00", "cpu", "0.1.0",
    "2026-01-31", loss="focal", class_weights=(0.5, 2.0), foreground=0.5,
)  # fmt: skip


def architecture_in(asked: AskedNetwork) -> Architecture:
    network = look_at(asked, 3, 2).network
    placement = network.plain.replace(Location.parse("encoder.1"), AttentionSpec("hard"))
    placement = placement.replace(Location.parse("skip.1"), AttentionSpec("gate"))
    return Architecture(network, placement, ("ground", "nucleus"), (40.0,) * 3, (40.0,) * 3, 32)


def ran(script: Path, *arguments: object) -> str:
    """What it prints, in a process that finds the user's package and no nas-attn."""
    code = "import runpy, sys; sys.modules['nas_attn'] = None; del sys.argv[0]; "
    code += "runpy.run_path(sys.argv[0], run_name='__main__')"
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code, str(script), *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": str(EXAMPLE), "OMP_NUM_THREADS": "1"}, capture_output=True, text=True,
        cwd=script.parent,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def test_a_script_trains_the_network_of_a_library_and_its_baseline(shared_data: Path, tmp_path: Path) -> None:
    pytest.importorskip(LIBRARIES["monai"])
    script = tmp_path / "best_train.py"
    said = write_script(Subject(architecture_in(AskedNetwork("monai", "BasicUNet", NARROW))), script)
    data = shared_data / "mini" / "dsb2018_nuclei"
    folders = (data / "images" / "val", data / "masks" / "val")
    short = (
        "--steps",
        3,
        "--batch-size",
        2,
        "--image-size",
        32,
        "--val-images",
        folders[0],
        "--val-masks",
        folders[1],
    )
    printed = ran(script, *folders, *short)
    ran(script, *folders, *short, "--baseline", "-o", "baseline.pt")

    assert said.startswith("equal to the bit")
    assert [line.split(":")[0] for line in printed.splitlines()] == [
        "step 1 of 3", "step 2 of 3", "step 3 of 3", "IoU x100 of ground", "IoU x100 of nucleus", "weights",
    ]  # fmt: skip
    attended, plain = torch.load(tmp_path / "weights.pt"), torch.load(tmp_path / "baseline.pt")
    assert [name for name in attended if ".nas_attention." not in name] == list(plain)
    assert {name.split(".")[2] for name in attended if name not in plain} == {"encoder_1", "skip_1"}


def test_a_script_begins_with_the_users_weights(
    small_unet: type[nn.Module], shared_data: Path, tmp_path: Path
) -> None:
    torch.manual_seed(3)
    model = small_unet(n_classes=2)
    save_file(model.state_dict(), tmp_path / "trained.safetensors")
    asked = replace(AskedNetwork.parse("small_unet:SmallUNet"), weights=str(tmp_path / "trained.safetensors"))
    script = tmp_path / "best_train.py"
    write_script(Subject(architecture_in(asked)), script)
    data = shared_data / "mini" / "dsb2018_nuclei"
    folders = (data / "images" / "val", data / "masks" / "val")
    short = ("--steps", 1, "--batch-size", 2, "--image-size", 32, "--weights", "trained.safetensors")
    printed = ran(script, *folders, *short)
    trained = torch.load(tmp_path / "weights.pt")

    assert f"tensors that fit: {len(model.state_dict())}" in printed
    assert "encoder_share=0.1" in script.read_text(encoding="utf-8")
    # One step of AdamW moves no weight by more than its learning rate, but for what decays.
    moved = {name: (trained[f"network.{name}"] - one).abs().max().item() for name, one in model.named_parameters()}
    assert 0 < max(most for name, most in moved.items() if name.startswith("enc")) < 8e-4
    assert moved["dec0.0.weight"] > 8e-3  # by Muon, at five times the rate of all else


def test_images_and_masks_are_paired_by_name(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    Image.fromarray(np.full((4, 6, 3), 7, np.uint8)).save(tmp_path / "a" / "one.png")
    Image.fromarray(np.ones((4, 6), np.uint8)).save(tmp_path / "b" / "one.tif")
    Image.fromarray(np.ones((4, 6), np.uint8)).save(tmp_path / "b" / "two.tif")
    ((image, mask),) = read_pairs(tmp_path / "a", tmp_path / "b", 3)
    assert (image.shape, mask.shape, int(image[0, 0, 0]), int(mask[0, 0])) == ((3, 4, 6), (4, 6), 7, 1)
    with pytest.raises(SystemExit, match="no image has a mask of its name"):
        read_pairs(tmp_path / "a", tmp_path / "a" / "..", 3)


def test_crops_are_cut_alike_of_image_and_mask() -> None:
    mask = torch.arange(30, dtype=torch.uint8).view(5, 6)
    pairs = [(mask[None].repeat(3, 1, 1), mask)]
    pixels, masks, draws = next(crops(pairs, 4, 8, torch.Generator().manual_seed(0)))
    assert (pixels.shape, draws.shape) == ((8, 3, 4, 4), (8, 6))
    assert torch.equal(pixels, masks[:, None].float().expand(-1, 3, -1, -1))
    assert len({tuple(one.flatten().tolist()) for one in masks}) > 2


def test_what_lies_beyond_a_small_image_counts_for_nothing() -> None:
    mask = torch.ones(2, 3, dtype=torch.uint8)
    pixels, masks, _ = next(crops([(mask[None], mask)], 4, 1, torch.Generator().manual_seed(0)))
    assert (masks == 255).sum() == 10
    assert (pixels == 1).all()


class Answers(nn.Module):
    def __init__(self, labels: torch.Tensor) -> None:
        super().__init__()
        self.labels, self.weight = labels, nn.Parameter(torch.zeros(()))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return nn.functional.one_hot(self.labels, 3).permute(2, 0, 1)[None].float()


def test_iou_is_pooled_over_the_pixels_that_count() -> None:
    mask = torch.tensor([[0, 1, 1, 255]], dtype=torch.uint8)
    ious = class_ious(Answers(torch.tensor([[0, 0, 1, 2]])), [(torch.zeros(3, 1, 4), mask)], lambda x: x, 3)
    assert ious[:2] == [0.5, 0.5]
    assert ious[2] != ious[2]


def told_to_train(source: str) -> tuple[str, dict[str, object]]:
    """The head of a script, and what it says of the recipe where it calls the training."""
    tree = ast.parse(source)
    calls = (node for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name))
    (recipe,) = (call for call in calls if isinstance(call.func, ast.Name) and call.func.id == "Recipe")
    said = {one.arg or "": ast.literal_eval(one.value) for one in recipe.keywords}
    return " ".join((ast.get_docstring(tree) or "").split()), said


def test_a_script_has_the_loss_the_weights_and_the_crops_of_its_study(small_unet: type[nn.Module]) -> None:
    architecture = architecture_in(AskedNetwork.parse("small_unet:SmallUNet"))
    head, said = told_to_train(script_source(replace(architecture, found=FOUND), "best_train.py", 96))
    usual_head, usual = told_to_train(script_source(architecture, "best_train.py"))

    assert {name: said[name] for name in ("loss", "class_weights", "foreground")} == {
        "loss": "focal", "class_weights": (0.5, 2.0), "foreground": 0.5,
    }  # fmt: skip
    assert "class weights 0.5, 2; 50% of the crops centred on foreground" in head
    assert "crops of 32 pixels of images shrunk to 96 pixels" in head
    assert not usual.keys() & {"loss", "class_weights", "foreground"}
    assert "those of a search with no settings of its own: ce+dice" in usual_head


class Flat(nn.Module):
    """Answers the same everywhere."""

    def __init__(self) -> None:
        super().__init__()
        self.answer = nn.Parameter(torch.tensor([0.0, 1.0]))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.answer.view(1, 2, 1, 1).expand(len(images), 2, *images.shape[2:])


def test_a_script_minimises_the_loss_of_its_recipe(capsys: pytest.CaptureFixture[str]) -> None:
    mask = torch.tensor([[0, 0], [0, 1]], dtype=torch.uint8)
    recipe = Recipe(loss="focal", class_weights=(0.5, 2.0))
    settings = {"steps": 1, "image_size": 2, "batch_size": 1, "seed": 0}
    train(Flat(), [(mask[None], mask)], torch.Tensor.float, recipe, settings, torch.device("cpu"))

    p = np.exp([0.0, 1.0]) / np.exp([0.0, 1.0]).sum()
    ground, nucleus = (1 - p) ** 2 * -np.log(p)
    expected = (3 * 0.5 * ground + 2.0 * nucleus) / (3 * 0.5 + 2.0)
    assert capsys.readouterr().out == f"step 1 of 1: loss {expected:.4f}\n"


def test_crops_are_centred_on_foreground_as_often_as_asked() -> None:
    mask = torch.zeros(40, 40, dtype=torch.uint8)
    mask[20, 25] = 2
    one, draw = [(mask[None], mask)], torch.Generator().manual_seed(0)
    centred = [
        (next(crops(one, 5, 400, draw, share))[1][:, 2, 2] == 2).double().mean().item() for share in (0, 0.25, 1)
    ]
    assert centred[0] < 0.02
    assert 0.15 < centred[1] < 0.35
    assert centred[2] == 1


def test_larger_images_are_shrunk_as_in_the_search(tmp_path: Path) -> None:
    for folder in ("images", "masks"):
        (tmp_path / folder).mkdir()
        Image.fromarray(np.tile(np.repeat([1, 3], 6), (6, 1)).astype(np.uint8)).save(tmp_path / folder / "a.png")
    ((image, mask),) = read_pairs(tmp_path / "images", tmp_path / "masks", 1, longest_side=4)

    assert (image.shape, mask.tolist()) == ((1, 2, 4), [[1, 1, 3, 3]] * 2)
    assert image[0, :, 0].tolist() == [1, 1]


@pytest.mark.parametrize(
    ("written", "side"), [({"longest_side": 96}, 96), ({"longest_side": "full"}, None), ({}, None)]
)
def test_a_subject_knows_to_what_its_study_shrank_images(
    written: dict[str, object], side: int | None, small_unet: type[nn.Module]
) -> None:
    ledger = SimpleNamespace(context={"request": written})
    architecture = architecture_in(AskedNetwork.parse("small_unet:SmallUNet"))
    assert Subject(architecture, ledger=ledger).longest_side == side  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda one, net: net(one, in_channels=4), "reads images of 1 or 3 channels, and these have 4"),
        (
            lambda one, net: net(one, asked=replace(one.network.asked, train="attention+head")),
            r"trains all parts of a network, and this one has train: attention\+head",
        ),
    ],
)
def test_what_a_script_does_not_train_is_refused(
    change: Callable[..., Architecture], message: str, small_unet: type[nn.Module]
) -> None:
    architecture = architecture_in(AskedNetwork.parse("small_unet:SmallUNet"))

    def other(one: Architecture, **changes: object) -> Architecture:
        assert isinstance(one.network, DescribedNetwork)
        network = replace(one.network, **changes)
        statistics = (1.0,) * network.in_channels
        return replace(one, network=network, mean=statistics, std=statistics)

    with pytest.raises(ExportError, match=message):
        script_source(change(architecture, other), "best_train.py")


def test_the_own_unet_is_left_to_train(make_architecture: Callable[..., Architecture]) -> None:
    with pytest.raises(ExportError, match="nas-attn's U-Net is trained by 'nas-attn train'"):
        script_source(make_architecture({"skip.0": "se"}), "best_train.py")
