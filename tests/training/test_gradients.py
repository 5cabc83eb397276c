"""A batch in parts has the gradient of the batch as a whole, wherever parts are allowed."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from nas_attn.models.build import build_unet
from nas_attn.models.catalogue import KINDS
from nas_attn.models.network import UNetConfig
from nas_attn.models.placement import AttentionSpec
from nas_attn.training import ModuleHooks, Precision, add_gradients, initialise, why_whole
from nas_attn.training.gradients import clip_gradients
from nas_attn.training.metrics import MIB, LiveBytes
from tests.scarce import scarce


def network(kind: str = "none", norm: str = "group") -> nn.Module:
    """A U-Net with a kind in its decoder, where each may stand but what wants a place of its own."""
    config = UNetConfig(in_channels=2, classes=3, depth=2, base_channels=4, norm=norm)
    placement = config.plain
    if kind != "none":
        stages = KINDS[kind].kind.stages
        place = next(one for one in reversed(config.locations) if one.stage in stages)
        placement = placement.replace(place, AttentionSpec(kind))
    module = build_unet(config, placement)
    initialise(module, 0)
    return module.train()


def batch(n: int = 5) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    masks = torch.randint(0, 3, (n, 16, 16), generator=generator).to(torch.uint8)
    masks[0, :4] = 255  # parts differ in how many pixels count
    return torch.randn(n, 2, 16, 16, generator=generator), masks


def gradients(module: nn.Module, parts: int) -> tuple[float, dict[str, torch.Tensor]]:
    module.zero_grad(set_to_none=True)
    loss = add_gradients(module, ModuleHooks(module, 1, 0), *batch(), Precision(), parts=parts)
    return loss.item(), {name: one.grad for name, one in module.named_parameters() if one.grad is not None}


STILL = [kind for kind in KINDS if not KINDS[kind].kind.needs_clip]


@pytest.mark.parametrize("kind", STILL)
def test_a_batch_in_parts_has_the_gradient_of_the_whole_or_a_reason_why_not(kind: str) -> None:
    module = network(kind)
    if why_whole(module) is not None:
        return
    loss, whole = gradients(module, 1)
    for parts in (2, 3, 5):
        loss_of_parts, summed = gradients(module, parts)
        assert loss_of_parts == pytest.approx(loss, rel=1e-5)
        assert summed.keys() == whole.keys()
        for name, gradient in whole.items():
            torch.testing.assert_close(summed[name], gradient, rtol=1e-3, atol=1e-5, msg=name)


def test_most_kinds_may_be_split() -> None:
    """Else the test above would look at nothing."""
    allowed = {kind for kind in STILL if why_whole(network(kind)) is None}

    assert {"se", "eca", "scse", "pam", "simam"} <= allowed
    assert len(allowed) > len(STILL) // 2


@pytest.mark.parametrize(
    ("module", "why"),
    [
        pytest.param(
            network(norm="batch"), "encoder.0.norm1 normalises by the mean of the whole batch", id="norm"
        ),
        pytest.param(network("gate"), "normalises by the mean of the whole batch", id="inside an attention"),
        pytest.param(network("hard"), "adds a loss of the whole batch", id="a loss of its own"),
        pytest.param(network(), None, id="group norm"),
        pytest.param(network(norm="instance"), None, id="instance norm"),
    ],
)
def test_what_looks_at_the_whole_batch_is_named(module: nn.Module, why: str | None) -> None:
    assert (found := why_whole(module)) == why or (found is not None and why is not None and why in found)


class MixesFrames(nn.Module):
    """A network whose logits of a frame depend on the other frame of its clip."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 3, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        clips = self.conv(x).unflatten(0, (-1, 2))
        mixed: torch.Tensor = (clips * clips.flip(1)).flatten(0, 1)
        return mixed


def test_the_frames_of_a_clip_are_never_parted() -> None:
    """Three clips of two frames in two parts: four frames and two, not three and three."""
    module, (inputs, masks) = MixesFrames(), batch(6)
    found = []
    for parts in (1, 2):
        module.zero_grad()
        add_gradients(module, ModuleHooks(module, 1, 0), inputs, masks, Precision(), parts=parts, frames=2)
        assert module.conv.weight.grad is not None
        found.append(module.conv.weight.grad.clone())

    torch.testing.assert_close(*found)


def test_batch_normalisation_is_rightly_refused() -> None:
    module = network(norm="batch")
    _, whole = gradients(module, 1)
    _, summed = gradients(module, 5)

    assert any(not torch.allclose(summed[name], one, rtol=0.05, atol=1e-4) for name, one in whole.items())


def peak_mib(parts: int) -> float:
    module, live = network("pam"), LiveBytes()
    with live:
        gradients(module, parts)
    return live.peak / MIB


def test_what_does_not_fit_at_once_fits_in_parts() -> None:
    whole, module = peak_mib(1), network("pam")
    with pytest.raises(torch.OutOfMemoryError), scarce(0.6 * whole):
        gradients(module, 1)
    with scarce(0.6 * whole):
        gradients(module, 5)
    assert peak_mib(5) < 0.6 * whole


@pytest.mark.parametrize("length", [0.5, 5.0, 5 - 1e-7, 80.0, float("nan"), float("inf")])
def test_gradients_are_clipped_as_torch_clips_them(length: float) -> None:
    parameters = [torch.nn.Parameter(torch.zeros(3)), torch.nn.Parameter(torch.zeros(1))]
    others = [torch.nn.Parameter(torch.zeros(3)), torch.nn.Parameter(torch.zeros(1))]
    for one, other in zip(parameters, others, strict=True):
        one.grad = torch.full_like(one, length / 2)  # four numbers: of that length together
        other.grad = one.grad.clone()
    clip_gradients(parameters, 5.0)
    torch.nn.utils.clip_grad_norm_(others, 5.0)
    for one, other in zip(parameters, others, strict=True):
        assert one.grad is not None
        assert other.grad is not None
        assert torch.equal(one.grad.nan_to_num(), other.grad.nan_to_num())
