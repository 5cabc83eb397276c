import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from nas_attn.architecture import Architecture, write_architecture
from nas_attn.cli.main import main
from nas_attn.models.catalogue import catalogue
from nas_attn.models.network import UNetConfig
from nas_attn.models.placement import AttentionSpec, Location


@pytest.fixture
def nuclei(tmp_path, monkeypatch):
    """A folder of bright discs on dark ground, an architecture for it, and the working directory beside them."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    for split, number in (("train", 6), ("val", 2), ("test", 2)):
        for folder in ("images", "masks"):
            (tmp_path / "nuclei" / folder / split).mkdir(parents=True)
        for index in range(number):
            rows, columns = np.ogrid[:32, :40]
            disc = (rows - rng.integers(8, 24)) ** 2 + (columns - rng.integers(8, 32)) ** 2 < 49
            image = (disc[..., None] * 150 + rng.integers(0, 60, (32, 40, 3))).astype(np.uint8)
            Image.fromarray(image).save(tmp_path / "nuclei" / "images" / split / f"{split}{index}.png")
            Image.fromarray(disc.astype(np.uint8)).save(
                tmp_path / "nuclei" / "masks" / split / f"{split}{index}.png"
            )
    write(tmp_path / "best.yaml", classes=2)
    return tmp_path


def write(path, classes, channels=3):
    network = UNetConfig(in_channels=channels, classes=classes, depth=2, base_channels=4)
    placement = network.plain.replace(Location.parse("skip.0"), AttentionSpec("se"))
    names = tuple(f"class {index}" for index in range(classes))
    write_architecture(
        Architecture(network, placement, names, (60.0,) * channels, (50.0,) * channels, 32), path, catalogue()
    )


TRAIN = ("train", "best.yaml", "--data", "nuclei", "--batch-size", "3", "--accelerator", "cpu")


def test_a_folder_is_learnt_and_everything_is_written_down(nuclei, capsys):
    assert main([*TRAIN, "--epochs", "2", "--against-plain"]) == 0
    shown = capsys.readouterr().out
    run = Path("runs") / "best-nuclei"
    for line in (
        "architecture  se at skip.0",
        "nuclei: 6 / 2 / 2 images to train / validate / test, 3 channels, 2 classes",
        "training the architecture: 2 epochs of 2 steps, each of 3 crops of 40 px, seed 0; cpu, float32",
        "\nloss ce+dice (cross-entropy plus soft Dice)\n",
        "training the baseline: 2 epochs of 2 steps",
        "epoch 2/2",
        "One seed (here 0) is a single seed",
        "--seed 1, 2",
        f"nas-attn predict {run / 'architecture.yaml'} {run / 'weights.safetensors'} IMAGES",
    ):
        assert line in shown
    metrics = json.loads((run / "metrics.json").read_text())
    mean = next(line.split() for line in shown.splitlines() if line.startswith("mean"))
    trained, plain = metrics["trained"]["test_iou"], metrics["plain"]["test_iou"]
    assert mean == ["mean", f"{100 * trained:.2f}", f"{100 * plain:.2f}", f"{100 * (trained - plain):+.2f}"]
    files = {"weights.safetensors", "architecture.yaml", "metrics.json", "curve.csv", "run.json"}
    assert files <= {path.name for path in run.iterdir()}
    assert files <= {path.name for path in (run / "plain").iterdir()}
    assert max(map(len, shown.splitlines())) <= 130


def test_programs_get_scores_paths_and_seconds_as_one_object(nuclei, capsys):
    assert main([*TRAIN, "--epochs", "1", "--against-plain", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    run = Path("runs") / "best-nuclei"
    assert (told["folder"], told["metrics"]) == (str(run), str(run / "metrics.json"))
    assert told["weights"] == str(run / "weights.safetensors")
    written = json.loads(Path(told["metrics"]).read_text())
    assert told["trained"]["test_iou"] == written["trained"]["test_iou"]
    assert told["gain_points"] == pytest.approx(100 * (told["trained"]["test_iou"] - told["plain"]["test_iou"]))
    assert told["seconds"] == told["trained"]["seconds"] + told["plain"]["seconds"]


def test_the_same_command_reads_a_finished_training(nuclei, capsys):
    assert main([*TRAIN, "--epochs", "1"]) == 0
    first = capsys.readouterr().out
    assert main([*TRAIN, "--epochs", "1"]) == 0
    again = capsys.readouterr().out
    assert "training the architecture" in first
    assert "training the architecture" not in again
    assert again.splitlines()[-8:] == first.splitlines()[-8:]


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (["--epochs", "0"], "epochs: 0 must be a whole number of at least 1"),
        (["--epochs", "many"], "--epochs: 'many' must be a whole number"),
        (["--lr", "-1"], "learning_rate: -1.0 must be a number above 0"),
        (["--crop", "17", "--devices", "1x"], "'1x' is not a number of devices; give such as 2, or auto"),
        (["--epoch", "3"], "unknown option '--epoch'; did you mean '--epochs'?"),
        (["--accelerator", "gpu"], "did you mean 'cpu'?"),
        (
            ["--devices", "2"],
            "batch_size is 3, which cannot be divided evenly among 2 devices; give a multiple",
        ),
        (["-o", "nuclei"], "nuclei: holds files that are not a run of 'nas-attn train'"),
        (["--data", "nuclie"], "nuclie: no such folder"),
        (["--data", "synthetic", "--longest-side", "9"], "--longest-side is for folders"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_mistakes_are_told_in_one_line_and_nothing_is_written(nuclei, capsys, words, error):
    try:
        status = main([*TRAIN, *words])
    except SystemExit as stop:
        status = stop.code
    shown = capsys.readouterr().err
    assert status == 2
    assert error in shown
    assert len(shown.strip().splitlines()) == 1
    assert not Path("runs").exists()


def test_an_architecture_for_other_data_is_refused_with_both_numbers(nuclei, capsys):
    write(nuclei / "best.yaml", classes=5, channels=1)
    assert main(list(TRAIN)) == 2
    shown = capsys.readouterr().err.splitlines()
    assert len(shown) == 2
    assert "takes images of 1 channels, those of nuclei have 3" in shown[0]
    assert "has 5 classes, nuclei has 2" in shown[1]


def test_the_command_line_is_read_without_torch():
    script = (
        "import sys, nas_attn.cli.train, nas_attn.cli.predict;"
        "sys.exit(any(name in sys.modules for name in ('torch', 'lightning', 'optuna')))"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


def command(*words):
    return [sys.executable, "-m", "nas_attn", *TRAIN, *words]


@pytest.mark.slow
def test_ctrl_c_says_that_the_same_command_goes_on(nuclei):
    process = subprocess.Popen(
        command("--epochs", "500"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    for line in process.stdout:
        if line.startswith("epoch   2/500"):
            process.send_signal(signal.SIGINT)
            break
    out, err = process.communicate(timeout=120)
    assert process.returncode == 130
    assert out.splitlines()[-1] == "stopped; the same command resumes"
    assert err.strip() == "nas-attn: interrupted"
    again = subprocess.Popen(command("--epochs", "500"), stdout=subprocess.PIPE, text=True)
    going_on = next(line for line in again.stdout if line.startswith("resuming after epoch"))
    again.kill()
    again.communicate()
    assert int(going_on.split()[-1]) >= 2


@pytest.mark.slow
def test_two_processes_train_one_network_and_speak_once(nuclei):
    words = ("--epochs", "2", "--batch-size", "2", "--devices", "2", "--against-plain", "-o", "two")
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        command(*words), capture_output=True, text=True, env=environment, check=False, timeout=280
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("training the architecture: 2 epochs of 3 steps") == 1
    assert done.stdout.count("epoch 2/2") == 2
    metrics = json.loads(Path("two/metrics.json").read_text())
    assert 0 < metrics["trained"]["test_iou"] < 1
    # The test was shared out; alone, one process finds the same.
    os.remove("two/metrics.json")
    assert main([*TRAIN, *words[:4], "-o", "two"]) == 0
    again = json.loads(Path("two/metrics.json").read_text())
    assert again["trained"]["test_iou_per_class"] == metrics["trained"]["test_iou_per_class"]


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_training_on_a_gpu_gives_weights_that_a_cpu_can_use(nuclei):
    words = [*TRAIN[:-2], "--epochs", "20", "--accelerator", "cuda"]
    assert main(words) == 0
    metrics = json.loads(Path("runs/best-nuclei/metrics.json").read_text())
    assert metrics["trained"]["test_iou"] > 0.5
    weights = load_file("runs/best-nuclei/weights.safetensors")
    assert all(tensor.isfinite().all() for tensor in weights.values())
    images = ["nuclei/images/test", "-o", "out", "--accelerator", "cpu"]
    assert main(["predict", "best.yaml", "runs/best-nuclei/weights.safetensors", *images]) == 0
