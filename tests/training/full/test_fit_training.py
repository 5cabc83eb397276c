import csv
import dataclasses
import errno
import json
import os
import shutil
import signal
import subprocess
import sys

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from nas_attn.architecture import Found, read_architecture
from nas_attn.budget import Budget
from nas_attn.data import smears
from nas_attn.errors import DivergedError, TrainingError
from nas_attn.models.build import build_unet
from nas_attn.models.catalogue import catalogue
from nas_attn.models.placement import AttentionSpec, Location
from nas_attn.training import Recipe, initialise, label_counts, start_at_frequencies
from nas_attn.training.full import EpochRecord, FitSettings, StepRecord, architecture_id, train
from nas_attn.training.full.weights import read_info

SETTINGS = FitSettings(epochs=3, batch_size=4, accelerator="cpu")


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory, tiny_architecture, tiny_data):
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("undisturbed") / "run"
    events = []
    result = train(tiny_architecture, tiny_data, SETTINGS, folder, report=events.append)
    torch.set_num_threads(threads)
    return folder, result, events


def curve(folder):
    with (folder / "curve.csv").open() as opened:
        return [{name: row[name] for name in row if name != "seconds"} for row in csv.DictReader(opened)]


def assert_same_run(folder, other):
    assert (folder / "weights.safetensors").read_bytes() == (other / "weights.safetensors").read_bytes()
    assert curve(folder) == curve(other)
    last, expected = (
        torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"] for run in (folder, other)
    )
    assert last.keys() == expected.keys()
    assert all(torch.equal(last[name], expected[name]) for name in last)
    metrics, expected = (json.loads((run / "metrics.json").read_text()) for run in (folder, other))
    for values in (metrics, expected):
        del values["trained"]["seconds"]
    assert metrics == expected


def test_modules_that_follow_the_steps_are_told_them_to_the_end(tmp_path, tiny_architecture, tiny_data):
    plain = tiny_architecture.network.plain
    placement = plain.replace(Location.parse("bottleneck"), AttentionSpec("dynamic"))
    placement = placement.replace(Location.parse("encoder.0"), AttentionSpec("encnet"))
    architecture = dataclasses.replace(tiny_architecture, placement=placement)
    train(architecture, tiny_data, SETTINGS, tmp_path / "run")
    last = torch.load(tmp_path / "run" / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
    assert last["module.attention.bottleneck.temperature"] == 1
    start = build_unet(architecture.network, placement)
    initialise(start, SETTINGS.seed)
    presence = "attention.encoder_0.presence.weight"
    assert not torch.equal(last[f"module.{presence}"], start.state_dict()[presence])


def test_reported_iou_is_that_of_the_written_weights(undisturbed, tiny_architecture, tiny_data):
    folder, result, _ = undisturbed
    module = build_unet(tiny_architecture.network, tiny_architecture.placement)
    module.load_state_dict(load_file(folder / "weights.safetensors"))
    module.eval()
    mean, std = np.array(tiny_data.mean)[:, None, None], np.array(tiny_data.std)[:, None, None]
    found, truth = [], []
    for index in range(len(tiny_data.test)):
        image = (tiny_data.test.image(index).numpy() - mean) / std
        with torch.no_grad():
            logits = module(torch.from_numpy(image[None].astype(np.float32)))
        found.append(logits[0].numpy().argmax(0).ravel())
        truth.append(tiny_data.test.mask(index).numpy().ravel())
    found, truth = np.concatenate(found), np.concatenate(truth)
    found, truth = found[truth != 255], truth[truth != 255]
    classes = range(len(tiny_data.classes))
    unions = [((found == k) | (truth == k)).sum() for k in classes]
    expected = [((found == k) & (truth == k)).sum() / unions[k] if unions[k] else None for k in classes]
    assert result.trained.test_iou_per_class == pytest.approx(expected, abs=2e-3)
    assert result.trained.test_iou == pytest.approx(
        np.mean([iou for iou in expected if iou is not None]), abs=1e-3
    )


def test_the_kept_weights_are_those_of_the_best_epoch(undisturbed):
    folder, result, _ = undisturbed
    rows = curve(folder)
    best = max(rows, key=lambda row: float(row["val_iou"]))
    info = read_info(folder / "weights.safetensors")
    assert result.trained.best_epoch == info.epoch == int(best["epoch"])
    assert result.trained.val_iou == info.val_iou == float(best["val_iou"])
    assert [int(row["epoch"]) for row in rows] == [1, 2, 3]


def test_a_training_reports_its_plan_every_step_and_every_epoch(undisturbed):
    _, _, events = undisturbed
    assert events[0].network == "architecture"
    assert events[0].plan.epochs == 3
    assert events[0].plan.steps_per_epoch == 3
    assert [event.epoch for event in events if isinstance(event, EpochRecord)] == [1, 2, 3]
    steps = [(event.epoch, event.step) for event in events if isinstance(event, StepRecord)]
    assert steps == [(epoch, step) for epoch in (1, 2, 3) for step in (1, 2, 3)]


def test_training_lowers_the_loss_and_ends_its_learning_rate_near_zero(undisturbed):
    folder, _, _ = undisturbed
    rows = curve(folder)
    assert float(rows[-1]["train_loss"]) < float(rows[0]["train_loss"])
    assert float(rows[-1]["learning_rate"]) < 1e-3 * max(float(row["learning_rate"]) for row in rows)


def test_the_folder_holds_an_architecture_that_can_be_read_back(undisturbed, tiny_architecture, tiny_data):
    folder, result, _ = undisturbed
    architecture = read_architecture(folder / "architecture.yaml", catalogue())
    assert architecture_id(architecture) == architecture_id(tiny_architecture) == result.architecture
    assert architecture.classes == tiny_data.classes
    assert list((folder / "tensorboard").glob("events.*"))


def test_a_finished_training_is_read_and_not_repeated(undisturbed, tiny_architecture, tiny_data):
    folder, result, _ = undisturbed
    before = (folder / "weights.safetensors").stat().st_mtime_ns
    again = train(tiny_architecture, tiny_data, SETTINGS, folder, report=lambda event: pytest.fail(str(event)))
    assert again == result
    assert (folder / "weights.safetensors").stat().st_mtime_ns == before


def test_checkpoints_hold_nothing_that_needs_unpickling(undisturbed):
    folder, _, _ = undisturbed
    torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)


class Stopped(Exception):
    pass


@pytest.mark.parametrize("epoch", [1, 2, 3])
def test_a_training_stopped_by_an_error_goes_on_to_the_same_weights(
    undisturbed, tmp_path, tiny_architecture, tiny_data, epoch
):
    def stop(event):
        if isinstance(event, EpochRecord) and event.epoch == epoch:
            raise Stopped

    with pytest.raises(Stopped):
        train(tiny_architecture, tiny_data, SETTINGS, tmp_path / "run", report=stop)
    train(tiny_architecture, tiny_data, SETTINGS, tmp_path / "run")
    assert_same_run(tmp_path / "run", undisturbed[0])


def test_ctrl_c_ends_cleanly_and_the_same_call_goes_on(undisturbed, tmp_path, tiny_architecture, tiny_data):
    def interrupt(event):
        if isinstance(event, EpochRecord) and event.epoch == 2:
            os.kill(os.getpid(), signal.SIGINT)

    handler = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        train(tiny_architecture, tiny_data, SETTINGS, tmp_path / "run", report=interrupt)
    assert signal.getsignal(signal.SIGINT) is handler
    train(tiny_architecture, tiny_data, SETTINGS, tmp_path / "run")
    assert_same_run(tmp_path / "run", undisturbed[0])


def test_a_disk_that_fills_up_ends_a_training_in_words_and_the_same_call_goes_on(
    undisturbed, tmp_path, tiny_architecture, tiny_data, room_for
):
    folder = tmp_path / "run"

    def fill(event):
        if isinstance(event, EpochRecord) and event.epoch == 1:
            room_for(10_000)  # enough for all but weights and checkpoints

    with pytest.raises(TrainingError, match=r"cannot be written \(.*too large.*\); once it can, the same command"):
        train(tiny_architecture, tiny_data, SETTINGS, folder, report=fill)
    room_for(None)
    assert [path.name for path in (folder / "checkpoints").iterdir()] == ["last.ckpt"]
    assert not list(folder.rglob("*.part"))
    train(tiny_architecture, tiny_data, SETTINGS, folder)
    assert_same_run(folder, undisturbed[0])


def test_a_checkpoint_cut_short_on_its_way_from_another_disk_leaves_the_one_before(
    tmp_path, tiny_architecture, tiny_data, monkeypatch
):
    """Lightning writes into the system's folder of temporary files first."""
    copy, copied = shutil.copyfile, []

    def other_disk(source, target):
        raise OSError(errno.EXDEV, "Invalid cross-device link")

    def cut_short(source, target, **options):
        copy(source, target, **options)
        copied.append(target)
        if len(copied) == 2:
            os.truncate(target, 1000)
            raise Stopped

    monkeypatch.setattr(os, "rename", other_disk)
    monkeypatch.setattr(shutil, "copyfile", cut_short)
    with pytest.raises(Stopped):
        train(tiny_architecture, tiny_data, SETTINGS, tmp_path / "run")
    assert len(curve(tmp_path / "run")) == 2
    assert torch.load(tmp_path / "run" / "checkpoints" / "last.ckpt", weights_only=True)["epoch"] == 0


KILLED = """
import os, signal, sys
from pathlib import Path
import torch
torch.set_num_threads(1)
from nas_attn.models.catalogue import catalogue
from nas_attn.data import smears
from nas_attn.architecture import Found, read_architecture
from nas_attn.training.full import FitSettings, EpochRecord, train
from nas_attn.training.full.lightning_shell import SegmentationModule

step = SegmentationModule.training_step
def training_step(self, batch, batch_idx):
    if (self.current_epoch, batch_idx) == (1, 1):
        os.kill(os.getpid(), signal.SIGKILL)
    return step(self, batch, batch_idx)
SegmentationModule.training_step = training_step

data = smears(image_size=32, n_train=10, n_val=4, n_test=4)
architecture = read_architecture(sys.argv[1], catalogue())
train(architecture, data, FitSettings(epochs=3, batch_size=4, accelerator="cpu"), Path(sys.argv[2]))
"""


def test_a_training_killed_within_an_epoch_goes_on_to_the_same_weights(
    undisturbed, tmp_path, tiny_architecture, tiny_data
):
    folder = tmp_path / "run"
    command = [sys.executable, "-c", KILLED, undisturbed[0] / "architecture.yaml", folder]
    killed = subprocess.run(command, capture_output=True, text=True, check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert len(curve(folder)) == 1
    train(tiny_architecture, tiny_data, SETTINGS, folder)
    assert_same_run(folder, undisturbed[0])


def test_the_plain_network_beside_it_is_trained_as_if_alone(undisturbed, tmp_path, tiny_architecture, tiny_data):
    folder = shutil.copytree(undisturbed[0], tmp_path / "both")
    both = dataclasses.replace(SETTINGS, against_plain=True)
    # The architecture's own run is finished; only the plain network is trained.
    result = train(tiny_architecture, tiny_data, both, folder)
    plain = dataclasses.replace(tiny_architecture, placement=tiny_architecture.network.plain)
    alone = train(plain, tiny_data, SETTINGS, tmp_path / "alone")
    assert result.trained == undisturbed[1].trained
    assert dataclasses.replace(result.plain, seconds=0) == dataclasses.replace(alone.trained, seconds=0)
    weights = (tmp_path / "alone" / "weights.safetensors").read_bytes()
    assert (folder / "plain" / "weights.safetensors").read_bytes() == weights
    assert result.gain_points == pytest.approx(100 * (result.trained.test_iou - alone.trained.test_iou))
    assert json.loads((folder / "metrics.json").read_text())["gain_points"] == result.gain_points


def test_the_plain_network_is_not_compared_with_itself(tmp_path, tiny_architecture, tiny_data):
    plain = dataclasses.replace(tiny_architecture, placement=tiny_architecture.network.plain)
    with pytest.raises(TrainingError, match="is the baseline itself"):
        train(plain, tiny_data, FitSettings(against_plain=True), tmp_path / "run")


def test_training_starts_from_name_keyed_weights(tmp_path, tiny_architecture, tiny_data):
    # With a learning rate of next to nothing the weights stay where they began.
    settings = dataclasses.replace(SETTINGS, epochs=1, seed=5, learning_rate=1e-12)
    train(tiny_architecture, tiny_data, settings, tmp_path / "run")
    module = build_unet(tiny_architecture.network, tiny_architecture.placement)
    initialise(module, 5)
    start_at_frequencies(module, label_counts(tiny_data.train.labels))
    written = load_file(tmp_path / "run" / "weights.safetensors")
    began = module.state_dict()
    for name, _ in module.named_parameters():
        assert torch.allclose(written[name], began[name], atol=1e-8), name


def test_patience_ends_a_training_that_no_longer_improves_and_keeps_it_ended(
    tmp_path, tiny_architecture, tiny_data
):
    # Without running statistics, and with a learning rate of next to nothing, every epoch is like the first.
    network = dataclasses.replace(tiny_architecture.network, norm="group")
    architecture = dataclasses.replace(tiny_architecture, network=network, placement=network.plain)
    settings = dataclasses.replace(SETTINGS, epochs=8, patience=2, learning_rate=1e-12)
    result = train(architecture, tiny_data, settings, tmp_path / "run")
    assert (result.trained.best_epoch, result.trained.epochs) == (1, 3)
    (tmp_path / "run" / "metrics.json").unlink()  # as if killed between the training and the test
    again = train(architecture, tiny_data, settings, tmp_path / "run")
    assert again == result


def test_a_training_that_diverges_fails_with_its_reason(tmp_path, tiny_architecture, tiny_data):
    settings = dataclasses.replace(SETTINGS, learning_rate=1e30)
    with pytest.raises(DivergedError, match=r"the training loss is (nan|inf) in epoch \d; a lower learning rate"):
        train(tiny_architecture, tiny_data, settings, tmp_path / "run")


def test_data_of_other_channels_and_classes_are_refused_with_both_numbers(tmp_path, tiny_architecture, tiny_data):
    grey = dataclasses.replace(tiny_data, name="grey", in_channels=1, classes=("background", "nucleus"))
    with pytest.raises(TrainingError) as error:
        train(tiny_architecture, grey, SETTINGS, tmp_path / "run")
    channels, classes = error.value.problems
    assert "takes images of 3 channels, those of grey have 1; set in_channels" in channels
    number = len(tiny_data.classes)
    assert f"has {number} classes, grey has 2 (background, nucleus); set classes" in classes
    assert not (tmp_path / "run").exists()


def test_a_folder_of_another_run_is_left_alone(undisturbed, tiny_architecture, tiny_data):
    other = dataclasses.replace(SETTINGS, epochs=4, seed=1)
    with pytest.raises(
        TrainingError, match="holds a run with epochs 3, not 4, seed 0, not 1; give another folder"
    ):
        train(tiny_architecture, tiny_data, other, undisturbed[0])
    with pytest.raises(TrainingError, match=r"holds a run with fingerprint '\w+', not"):
        train(tiny_architecture, smears(image_size=32, n_train=9, n_val=4, n_test=4), SETTINGS, undisturbed[0])


def test_a_run_of_an_unknown_recipe_is_left_alone(undisturbed, tmp_path, tiny_architecture, tiny_data):
    shutil.copytree(undisturbed[0], tmp_path / "run")
    identity = json.loads((tmp_path / "run" / "run.json").read_text())
    assert identity["recipe"]["brightness"] == Recipe().brightness
    identity["recipe"]["brightness"] = 0.3
    (tmp_path / "run" / "run.json").write_text(json.dumps(identity))
    with pytest.raises(TrainingError, match=r"holds a run with recipe {.*'brightness': 0.3.*}, not {"):
        train(tiny_architecture, tiny_data, SETTINGS, tmp_path / "run")
    del identity["recipe"]
    (tmp_path / "run" / "run.json").write_text(json.dumps(identity))
    with pytest.raises(TrainingError, match="of another version of nas-attn, whose recipe is not known; give"):
        train(tiny_architecture, tiny_data, SETTINGS, tmp_path / "run")


def test_a_run_whose_attention_began_otherwise_is_left_alone(undisturbed, tmp_path, tiny_architecture, tiny_data):
    shutil.copytree(undisturbed[0], tmp_path / "run")
    identity = json.loads((tmp_path / "run" / "run.json").read_text())
    assert identity.pop("neutral start of se") == 2
    (tmp_path / "run" / "run.json").write_text(json.dumps(identity))
    with pytest.raises(
        TrainingError, match="holds a run with neutral start of se 1, not 2; give another folder with -o"
    ):
        train(tiny_architecture, tiny_data, SETTINGS, tmp_path / "run")


def test_a_folder_of_other_files_is_left_alone(tmp_path, tiny_architecture, tiny_data):
    (tmp_path / "thesis.tex").write_text("x")
    with pytest.raises(TrainingError, match="holds files that are not a run of 'nas-attn train'"):
        train(tiny_architecture, tiny_data, SETTINGS, tmp_path)
    with pytest.raises(TrainingError, match="holds files that are not a run"):
        train(tiny_architecture, tiny_data, SETTINGS, tmp_path / "thesis.tex")


def test_a_folder_that_cannot_be_made_is_named(tmp_path, tiny_architecture, tiny_data):
    (tmp_path / "file").write_text("x")
    with pytest.raises(
        TrainingError, match=r"file/run: cannot be written to \(Not a directory\); give another folder"
    ):
        train(tiny_architecture, tiny_data, SETTINGS, tmp_path / "file" / "run")


def test_a_damaged_checkpoint_is_named_with_its_mend(tmp_path, tiny_architecture, tiny_data):
    folder = tmp_path / "run"
    train(tiny_architecture, tiny_data, dataclasses.replace(SETTINGS, epochs=1), folder)
    (folder / "metrics.json").unlink()
    checkpoint = folder / "checkpoints" / "last.ckpt"
    checkpoint.write_bytes(checkpoint.read_bytes()[:1000])
    with pytest.raises(
        TrainingError, match=r"last\.ckpt: cannot be read .*; delete the file to train from the start"
    ):
        train(tiny_architecture, tiny_data, dataclasses.replace(SETTINGS, epochs=1), folder)


FOUND = Found(
    study="study",
    space="space",
    strategy="tpe",
    trials=1,
    budget=Budget(1, 32, 1),
    seeds=(0,),
    data="other",
    data_fingerprint="other",
    device="cpu",
    version="0",
    date="2026-01-01",
)


@pytest.mark.parametrize("found", [None, FOUND], ids=["written by hand", "found by a search"])
def test_statistics_are_those_of_the_data_unless_a_person_wrote_others(
    tmp_path, tiny_architecture, tiny_data, found
):
    chosen = dataclasses.replace(tiny_architecture, mean=(1.0, 2.0, 3.0), std=(4.0, 5.0, 6.0), found=found)
    train(chosen, tiny_data, dataclasses.replace(SETTINGS, epochs=1), tmp_path / "run")
    expected = (tiny_data.mean, tiny_data.std) if found else (chosen.mean, chosen.std)
    info = read_info(tmp_path / "run" / "weights.safetensors")
    assert (info.mean, info.std) == expected
    written = read_architecture(tmp_path / "run" / "architecture.yaml", catalogue())
    assert (written.mean, written.std) == expected


@pytest.mark.parametrize("n_train", [1, 3])
def test_a_training_set_smaller_than_a_batch_is_enough(tmp_path, tiny_architecture, n_train):
    data = smears(image_size=32, n_train=n_train, n_val=1, n_test=1)
    result = train(tiny_architecture, data, dataclasses.replace(SETTINGS, epochs=1), tmp_path / "run")
    assert 0 <= result.trained.test_iou <= 1
