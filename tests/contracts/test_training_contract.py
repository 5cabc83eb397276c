"""Every registered attention can be trained at every stage where it may stand, from both of its starts."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import pytest
import torch

from nas_attn.budget import Budget
from nas_attn.data import smears
from nas_attn.models.build import build_unet
from nas_attn.models.catalogue import catalogue
from nas_attn.models.network import UNetConfig
from nas_attn.models.placement import NONE, AttentionSpec, Placement, Stage
from nas_attn.training import DeviceImages, initialise, train_run
from nas_attn.training.evaluation import pack_sets

NETWORK = UNetConfig(3, 3, depth=2, base_channels=8)
PER_IMAGE = ("pixels", "masks", "heights", "widths")
KINDS = catalogue()
STANDS = [
    pytest.param(name, stage, id=f"{name}-{stage}")
    for name, kind in KINDS.items()
    for stage in (kind.stages if name != "none" else [Stage.ENCODER])
]


pytestmark = pytest.mark.usefixtures("one_thread")


@cache
def images(frames: int) -> DeviceImages:
    """Still images; where frames go together, clips of them that stand still."""
    still = smears(image_size=32, n_train=32, n_val=1, n_test=1)
    packed = pack_sets(still, torch.device("cpu")).train
    if frames == 1:
        return packed
    repeated = {name: getattr(packed, name).repeat_interleave(frames, 0) for name in PER_IMAGE}
    return replace(packed, **repeated, clips=(frames,) * 32, frames=frames)


def everywhere(name: str, stage: Stage, start: str) -> Placement:
    """A kind at all locations of a stage."""
    spec = AttentionSpec(name, (("start", "identity"),) if start == "identity" else ())
    return Placement(tuple((place, spec if place.stage is stage else NONE) for place in NETWORK.locations))


@pytest.mark.slow
@pytest.mark.parametrize("start", ["paper", "identity"])
@pytest.mark.parametrize(("name", "stage"), STANDS)
def test_two_hundred_steps_do_not_diverge_and_teach_something(name: str, stage: Stage, start: str) -> None:
    if name == "none" and start == "identity":
        pytest.skip("none has no start")
    network = replace(NETWORK, frames=3 if KINDS[name].needs_clip else 1)
    module = build_unet(network, everywhere(name, stage, start))
    initialise(module, 0)
    before = {key: weight.detach().clone() for key, weight in module.named_parameters()}
    run = train_run(module, images(network.frames), Budget(200, 16, 4), 0)
    losses = [point.loss for point in run.curve]
    assert losses[-1] < 0.85 * losses[0]
    learned = [
        key
        for key, weight in module.attention.named_parameters()
        if not torch.equal(weight, before[f"attention.{key}"])
    ]
    assert learned or not list(module.attention.parameters())
