import dataclasses

import pytest
import torch

from nas_attn.errors import TrainingError
from nas_attn.training.full import FitSettings
from nas_attn.training.full.plan import choose_hardware, plan_fit


@pytest.mark.parametrize(
    ("batch_size", "steps_per_epoch", "epochs"), [(4, 3, 1000), (10, 1, 3000), (16, 1, 3000), (1, 10, 300)]
)
def test_left_open_the_epochs_make_three_thousand_steps(tiny_data, batch_size, steps_per_epoch, epochs):
    plan = plan_fit(FitSettings(batch_size=batch_size), tiny_data, 4)
    assert (plan.steps_per_epoch, plan.epochs, plan.steps) == (steps_per_epoch, epochs, 3000)


def test_large_sets_are_seen_twenty_times(tiny_data):
    class Many:
        heights, widths, clips = (32,), (32,), ()

        def __len__(self):
            return 100_000

    assert plan_fit(FitSettings(), dataclasses.replace(tiny_data, train=Many()), 4).epochs == 20


@pytest.mark.parametrize(
    ("sizes", "least_size", "crop"),
    [
        pytest.param([(32, 32)], 4, 32, id="as large as the images"),
        pytest.param([(100, 90), (20, 30)], 8, 112, id="the largest image, on the network's grid"),
        pytest.param([(3000, 2000)], 16, 256, id="at most 256"),
        pytest.param([(20, 20)], 16, 32, id="at least two pixels at the bottleneck"),
    ],
)
def test_left_open_the_crop_suits_the_images(tiny_data, sizes, least_size, crop):
    train = dataclasses.replace(
        tiny_data.train, heights=tuple(size[0] for size in sizes), widths=tuple(size[1] for size in sizes)
    )
    assert plan_fit(FitSettings(), dataclasses.replace(tiny_data, train=train), least_size).crop == crop


def test_a_crop_too_small_for_the_network_is_refused(tiny_data):
    with pytest.raises(TrainingError, match="crop is 16; for a network of this depth it must be at least 32"):
        plan_fit(FitSettings(crop=16), tiny_data, 16)


def test_all_impossible_settings_are_named_together():
    with pytest.raises(TrainingError) as error:
        FitSettings(epochs=0, batch_size=True, crop=8, learning_rate=float("nan"), accelerator="tpu", patience=-1)
    assert error.value.problems == (
        "epochs: 0 must be a whole number of at least 1",
        "batch_size: true must be a whole number from 1 to 4096",
        "crop: 8 must be a whole number of at least 16",
        "learning_rate: nan must be a number above 0",
        "patience: -1 must be a whole number of at least 1",
        "accelerator: 'tpu' must be auto | cpu | cuda",
    )


def test_without_a_gpu_training_runs_on_the_cpu_in_single_precision(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert str(choose_hardware(FitSettings())) == "cpu, float32"
    assert choose_hardware(FitSettings(devices=None)).devices == 1
    with pytest.raises(TrainingError, match="torch finds no GPU here; leave it out, or give 'cpu'"):
        choose_hardware(FitSettings(accelerator="cuda"))


def test_gpus_are_used_where_they_are_and_no_more_than_there_are(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: True)
    assert str(choose_hardware(FitSettings(devices=None))) == "2 x cuda, bfloat16"
    assert str(choose_hardware(FitSettings())) == "cuda, bfloat16"
    assert str(choose_hardware(FitSettings(accelerator="cpu"))) == "cpu, float32"
    with pytest.raises(TrainingError, match="devices is 3, but torch finds 2 GPUs here"):
        choose_hardware(FitSettings(devices=3, batch_size=3))


def test_a_batch_that_cannot_be_shared_evenly_is_refused():
    with pytest.raises(TrainingError, match="batch_size is 16, which cannot be divided evenly among 3 devices"):
        choose_hardware(FitSettings(accelerator="cpu", devices=3))
