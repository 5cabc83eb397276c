"""A CUDA graph gives what Python gives, and a module that cannot be recorded says why."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn

from nas_attn.budget import Budget
from nas_attn.losses import LOSSES
from nas_attn.models.build import build_unet
from nas_attn.models.catalogue import catalogue
from nas_attn.models.network import UNetConfig
from nas_attn.models.placement import NONE, AttentionSpec, Placement
from nas_attn.training import DeviceImages, GraphPool, Precision, Recipe, TrainedRun, initialise, train_run

GPU = torch.device("cuda")
NETWORK = UNetConfig(in_channels=1, classes=2, depth=3, base_channels=8)
BUDGET = Budget(steps=60, image_size=32, batch_size=4)

pytestmark = pytest.mark.gpu


@pytest.fixture(autouse=True)
def need_a_gpu() -> None:
    if not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")


def images(most_bytes: int | None = None, frames: int = 1) -> DeviceImages:
    random = torch.Generator().manual_seed(0)
    masks = (torch.rand(12, 1, 6, 6, generator=random) > 0.5).float()
    masks = nn.functional.interpolate(masks, size=(48, 48))[:, 0].to(torch.uint8)
    pixels = 60 + 120 * masks[:, None] + torch.randint(0, 20, (12, 1, 48, 48), generator=random)
    return DeviceImages.pack(
        pixels.to(torch.uint8),
        masks,
        (48,) * 12,
        (48,) * 12,
        (120.0,),
        (60.0,),
        device=GPU,
        most_bytes=most_bytes,
        clips=(4, 4, 4),
        frames=frames,
    )


def run(
    placement: Placement,
    *,
    graphs: bool,
    pool: GraphPool | None = None,
    most_bytes: int | None = None,
    recipe: Recipe | None = None,
) -> tuple[nn.Module, TrainedRun]:
    needs_clip = any(catalogue()[spec.kind].needs_clip for _, spec in placement)
    network = replace(NETWORK, frames=2 if needs_clip else 1)
    module = build_unet(network, placement)
    initialise(module, 0)
    module = module.to(GPU)
    data = images(most_bytes, network.frames)
    return module, train_run(
        module, data, BUDGET, 0, graphs=graphs, pool=pool, precision=Precision(), recipe=recipe
    )


def everywhere(kind: str) -> Placement:
    stages = catalogue()[kind].stages
    spec = AttentionSpec(kind)
    return Placement.of({place: spec if place.stage in stages else NONE for place in NETWORK.locations})


@pytest.mark.parametrize("kind", sorted(catalogue()))
def test_a_graph_trains_as_python_does(kind: str) -> None:
    _, graphed = run(everywhere(kind), graphs=True)
    _, eager = run(everywhere(kind), graphs=False)

    assert graphed.engine == "cuda graph"
    assert eager.engine == "eager"
    for mine, theirs in zip(graphed.curve, eager.curve, strict=True):
        assert mine.step == theirs.step
        assert mine.loss == pytest.approx(theirs.loss, rel=0.05, abs=0.02)


@pytest.mark.parametrize("class_weights", [(), (0.5, 2.0)], ids=["alike", "weighted"])
@pytest.mark.parametrize("loss", LOSSES)
def test_every_loss_is_part_of_the_graph(loss: str, class_weights: tuple[float, ...]) -> None:
    recipe = Recipe(loss=loss, class_weights=class_weights, foreground=0.5)
    _, graphed = run(everywhere("se"), graphs=True, recipe=recipe)
    _, eager = run(everywhere("se"), graphs=False, recipe=recipe)

    assert graphed.engine == "cuda graph"
    assert graphed.curve[-1].loss == pytest.approx(eager.curve[-1].loss, rel=0.05, abs=0.02)


def test_graphs_that_share_a_pool_train_one_after_the_other() -> None:
    pool = GraphPool(GPU)
    runs = [run(everywhere(kind), graphs=True, pool=pool)[1] for kind in ("none", "cbam", "none")]

    assert [one.engine for one in runs] == ["cuda graph"] * 3
    assert runs[0].curve[-1].loss == pytest.approx(runs[2].curve[-1].loss, rel=0.05, abs=0.02)


def test_a_streamed_set_trains_as_one_on_the_device() -> None:
    _, streamed = run(NETWORK.plain, graphs=True, most_bytes=0)
    _, resident = run(NETWORK.plain, graphs=True)

    assert streamed.engine == "cuda graph"
    assert streamed.curve[-1].loss == pytest.approx(resident.curve[-1].loss, rel=0.05, abs=0.02)


class Waiting(nn.Module):
    """Asks the device for a number in the middle of its forward pass, which no graph can."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 2, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.conv(x) * (2.0 if x.sum().item() > 0 else 1.0)


def test_a_module_that_waits_for_the_device_is_trained_eagerly_with_the_reason() -> None:
    results = []
    for graphs in (True, False):
        module = Waiting()
        initialise(module, 0)
        results.append(train_run(module.to(GPU), images(), BUDGET, 0, graphs=graphs))

    assert results[0].engine.startswith("eager: ")
    assert len(results[0].engine) > len("eager: ")
    assert results[0].curve[-1].loss == pytest.approx(results[1].curve[-1].loss, rel=0.05, abs=0.02)
