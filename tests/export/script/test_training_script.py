"""The training script: run as its reader would run it, without nas-attn."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import nn

from nas_attn.architecture import Architecture
from nas_attn.errors import ExportError
from nas_attn.export.script.file import script_source
from nas_attn.export.script.loop import class_ious, crops, read_pairs
from nas_attn.export.script.write import write_script
from nas_attn.export.subject import Subject
from nas_attn.models.asked_network import AskedNetwork
from nas_attn.models.described_network import DescribedNetwork
from nas_attn.models.discovery import look_at
from nas_attn.models.placement import AttentionSpec, Location
from tests.models.discovery.test_sites import LIBRARIES

EXAMPLE = Path(__file__).parents[3] / "examples" / "your_network"
NARROW = {"features": [4, 4, 8, 8, 8, 4]}


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
    moved = [(trained[f"network.{name}"] - one).abs().max().item() for name, one in model.named_parameters()]
    assert 0 < max(moved) < 8e-3


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
