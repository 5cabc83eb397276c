import json
import os
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from nas_attn.architecture import Architecture, write_architecture
from nas_attn.cli.main import main
from nas_attn.models.build import build_unet
from nas_attn.models.catalogue import catalogue
from nas_attn.models.network import UNetConfig
from nas_attn.models.placement import AttentionSpec, Location
from nas_attn.training import initialise
from nas_attn.training.full import architecture_id
from nas_attn.training.full.weights import WeightsInfo, write_weights

TEMPORAL = AttentionSpec("tam")
PREDICT = ("predict", "best.yaml", "weights.safetensors", "images", "-o", "out", "--accelerator", "cpu")


@pytest.fixture(autouse=True)
def workplace(tmp_path, monkeypatch):
    """An architecture, weights for it and three images, in the working directory."""
    monkeypatch.chdir(tmp_path)
    network = UNetConfig(in_channels=3, classes=2, depth=2, base_channels=4)
    write_trained(network, network.plain)
    Path("images").mkdir()
    for index in range(3):
        write_image(Path("images", f"{index}.png"), index)


def write_trained(network, placement):
    """The files of an architecture and of weights for it."""
    mean, std = (100.0,) * 3, (50.0,) * 3
    architecture = Architecture(network, placement, ("background", "nucleus"), mean, std, 32)
    write_architecture(architecture, "best.yaml", catalogue())
    module = build_unet(network, placement)
    initialise(module, 0)
    info = WeightsInfo(
        architecture_id(architecture), "plain", architecture.classes, mean, std, 8, None, "", 0, 1, 0.5, "0"
    )
    write_weights(Path("weights.safetensors"), module, info)


def write_image(path, seed, size=(20, 24)):
    values = np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)
    Image.fromarray(values).save(path)


def test_every_image_gets_a_mask_and_an_overlay(capsys):
    assert main(list(PREDICT)) == 0
    shown = capsys.readouterr().out
    assert "3 images segmented" in shown
    assert f"masks     {Path('out') / 'masks'}" in shown
    shares = [float(line.split()[1].rstrip("%")) for line in shown.splitlines() if line.startswith("  ")]
    assert sum(shares) == pytest.approx(100, abs=0.2)
    for folder in ("masks", "overlays"):
        assert sorted(path.name for path in Path("out", folder).iterdir()) == ["0.png", "1.png", "2.png"]


@pytest.mark.parametrize(
    ("paths", "words"),
    [
        (("film",), "7 frames of 2 clips segmented"),
        (("film/a",), "4 frames of 1 clip segmented"),
        (("film", "torn"), "9 frames of 3 clips segmented"),
    ],
    ids=["a folder of clips", "one clip", "one of which is used in part"],
)
def test_frames_of_clips_are_counted_as_such(capsys, paths, words):
    network = UNetConfig(in_channels=3, classes=2, depth=2, base_channels=4, frames=2)
    write_trained(network, network.plain.replace(Location.parse("encoder.0"), TEMPORAL))
    for clip, frames in (("film/a", 4), ("film/b", 3), ("torn", 4)):
        Path(clip).mkdir(parents=True)
        for frame in range(frames):
            size = (28, 24) if (clip, frame) == ("torn", 3) else (20, 24)
            write_image(Path(clip, f"{frame}.png"), frame, size)

    assert main([*PREDICT[:3], *paths, *PREDICT[4:]]) == (2 if "torn" in paths else 0)
    shown = capsys.readouterr()
    assert words in shown.out.splitlines()
    assert "of the pixels, on average over the frames" in shown.out
    assert "image" not in shown.out
    assert ("torn/3.png: has another size than the frames of its clip before it" in shown.err) == ("torn" in paths)


def test_an_unreadable_image_is_named_at_the_end_and_the_others_are_segmented(capsys):
    content = Path("images/1.png").read_bytes()
    Path("images/1.png").write_bytes(content[: len(content) // 2])
    assert main(list(PREDICT)) == 2
    shown = capsys.readouterr()
    assert "2 images segmented" in shown.out
    assert len(shown.err.strip().splitlines()) == 1
    assert "nas-attn: error: images/1.png: is damaged" in shown.err
    assert sorted(path.name for path in Path("out", "masks").iterdir()) == ["0.png", "2.png"]


@pytest.mark.parametrize(
    ("place", "word", "error"),
    [
        (1, "bst.yaml", "bst.yaml: no such file"),
        (2, "weights.pt", "weights.pt: a pickle (such as a PyTorch or Lightning checkpoint)"),
        (2, "weights", "weights: cannot be read (No such file or directory)"),
        (2, "best.yaml", "best.yaml: damaged or no safetensors file"),
        (3, "image", "image: no such file or folder; did you mean 'images'?"),
        (3, ".", "the folder holds no image"),
        (5, "best.yaml", "best.yaml: is a file; give a folder"),
        (7, "gpu", "did you mean 'cpu'?"),
    ],
    ids=["architecture", "pickle", "no weights", "no safetensors", "no images", "empty folder", "output", "gpu"],
)
def test_mistakes_are_told_in_one_line_and_nothing_is_written(capsys, place, word, error):
    torch.save({}, "weights.pt")
    words = list(PREDICT)
    words[place] = word
    try:
        status = main(words)
    except SystemExit as stop:
        status = stop.code
    shown = capsys.readouterr().err
    assert status == 2
    assert error in shown
    assert len(shown.strip().splitlines()) == 1
    assert not Path("out").exists()


def test_an_impossible_tile_is_refused(capsys):
    assert main([*PREDICT, "--tile", "10"]) == 2
    assert "tile is 10; for this network it must be a multiple of 4, at least 16" in capsys.readouterr().err


def test_a_legend_of_the_user_is_not_written_over(capsys):
    Path("out").mkdir()
    write_image(Path("out", "legend.png"), 9)
    before = Path("out", "legend.png").read_bytes()
    assert main(list(PREDICT)) == 2
    assert capsys.readouterr().err == (
        "nas-attn: error: out/legend.png: was not written by a prediction and would be overwritten; give another "
        "folder with -o\n"
    )
    assert Path("out", "legend.png").read_bytes() == before
    assert [path.name for path in Path("out").iterdir()] == ["legend.png"]


def test_a_pipe_in_the_place_of_the_legend_is_not_waited_for(capsys):
    Path("out").mkdir()
    os.mkfifo(Path("out", "legend.png"))
    assert main(list(PREDICT)) == 2
    assert "out/legend.png: was not written by a prediction" in capsys.readouterr().err


def rewritten(**changes):
    """The weights again, with another description or other tensors."""
    from safetensors.torch import load_file, save_file

    from nas_attn.training.full.weights import FORMAT, read_info

    path = Path("weights.safetensors")
    tensors, info = load_file(path), {**asdict(read_info(path)), **changes}
    for name in info.pop("poisoned", ()):
        tensors[name].view(-1)[0] = float("nan")
    save_file(tensors, path, metadata={FORMAT: json.dumps(info)})


def a_tensor():
    from safetensors.torch import load_file

    return next(name for name, tensor in load_file("weights.safetensors").items() if tensor.is_floating_point())


BAD_WEIGHTS = {
    "std 0": ({"std": [0.0] * 3}, "weights.safetensors: its description is damaged (std must be above 0)"),
    "std NaN": ({"std": [float("nan")] * 3}, "mean and std must be finite numbers, one for each channel"),
    "mean infinite": ({"mean": [float("inf")] * 3}, "mean and std must be finite numbers, one for each channel"),
    "mean of words": ({"mean": ["a"] * 3}, "its description is damaged ("),
    "fewer std": ({"std": [1.0]}, "mean and std must be finite numbers, one for each channel"),
    "fewer channels": ({"std": [1.0], "mean": [1.0]}, "described for 2 classes and 1 channels"),
    "more classes": ({"classes": ["a", "b", "c"]}, "described for 3 classes and 3 channels"),
    "classes of numbers": ({"classes": [1, 2]}, "classes must be names"),
    "bits": ({"bits": 7}, "bits must be 8 or 16"),
    "longest side": ({"longest_side": -1}, "longest_side must be a whole number above 0, or null"),
}


@pytest.mark.parametrize(("changes", "message"), BAD_WEIGHTS.values(), ids=BAD_WEIGHTS)
def test_weights_that_cannot_predict_are_refused_before_anything_is_written(refused, changes, message):
    rewritten(**changes)

    (line,) = refused(*PREDICT)
    assert message in line
    assert not Path("out").exists()


def test_weights_that_are_not_finite_are_refused(refused):
    name = a_tensor()
    rewritten(poisoned=[name])

    (line,) = refused(*PREDICT)
    assert line == (
        f"weights.safetensors: {name} holds values that are not finite, so nothing can be predicted; train again"
    )
    assert not Path("out").exists()


def test_a_pipe_for_weights_is_not_waited_for(refused):
    Path("weights.safetensors").unlink()
    os.mkfifo("weights.safetensors")

    (line,) = refused(*PREDICT)
    assert line == "weights.safetensors: is not a regular file; give a weights.safetensors of a run"


def test_the_folder_of_a_run_is_enough(capsys):
    Path("runs").mkdir()
    Path("best.yaml").rename("runs/architecture.yaml")
    Path("weights.safetensors").rename("runs/weights.safetensors")

    assert main(["predict", "runs", "images", "-o", "out", "--accelerator", "cpu"]) == 0
    assert "3 images segmented" in capsys.readouterr().out


def test_a_folder_without_weights_is_no_run(refused):
    (line,) = refused("predict", "images", "images", "-o", "out")
    assert line == "images: holds no weights.safetensors; give the folder of a finished training"


def test_an_architecture_needs_weights_and_images(refused):
    (line,) = refused("predict", "best.yaml", "images", "-o", "out")
    assert "behind an architecture file give WEIGHTS and IMAGES" in line
