"""Small architectures of every kind."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest
import torch
from torch import nn

from nas_attn.architecture import Architecture, write_architecture
from nas_attn.models.build import build_unet
from nas_attn.models.catalogue import catalogue
from nas_attn.models.kind import AttentionKind
from nas_attn.models.network import UNetConfig
from nas_attn.models.placement import AttentionSpec, Location
from nas_attn.training import initialise
from nas_attn.training.full import architecture_id
from nas_attn.training.full.weights import WeightsInfo, write_weights

NETWORK = UNetConfig(in_channels=2, classes=3, depth=2, base_channels=8)
FRAMES = 3


def answers_of(path: Path) -> Callable[[torch.Tensor], torch.Tensor]:
    """What a program other than ours makes of the file."""
    if path.suffix == ".pt2":
        module = torch.export.load(path).module()
        return lambda images: module(images)
    runtime = pytest.importorskip("onnxruntime", reason="needs pip install 'nas-attn[onnx]'")
    session = runtime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return lambda images: torch.from_numpy(session.run(None, {"images": images.numpy()})[0])


@pytest.fixture(scope="session")
def make_architecture() -> Callable[..., Architecture]:
    """An architecture from ``{"skip.0": "gate"}``, what is left out being none; of clips where needed."""

    def make(attention: dict[str, str], network: UNetConfig = NETWORK, **changes: object) -> Architecture:
        placement = network.plain
        for place, text in attention.items():
            placement = placement.replace(Location.parse(place), AttentionSpec.parse(text))
        if any(catalogue()[spec.kind].needs_clip for _, spec in placement):
            network = replace(network, frames=FRAMES)
        values: dict[str, object] = {
            "classes": ("background", "cell", "wall"),
            "mean": (120.5, 1e-05),
            "std": (30.0, 2.0),
            "image_size": 16,
        }
        return Architecture(network, placement, **{**values, **changes})  # type: ignore[arg-type]

    return make


def placements_of(kind: AttentionKind) -> Iterator[tuple[str, dict[str, str]]]:
    """Of a kind: everywhere where it may stand, then every other value of each option at one place, each named."""
    places = [str(location) for location in NETWORK.locations if location.stage in kind.stages]
    yield kind.name, dict.fromkeys(places, kind.name)
    for option in kind.all_options:
        for choice in option.choices or ((not option.default,) if isinstance(option.default, bool) else ()):
            spec = AttentionSpec(kind.name, ((option.name, choice),))
            if choice != option.default:
                yield str(spec), {places[-1]: str(spec)}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """``attention``: placements of every registered kind with every choice; ``kind_attention``: of every kind."""
    found = {
        name: attention
        for kind in catalogue().values()
        if kind.name != "none"
        for name, attention in placements_of(kind)
    }
    if "attention" in metafunc.fixturenames:
        metafunc.parametrize("attention", found.values(), ids=found)
    if "kind_attention" in metafunc.fixturenames:
        kinds = {name: attention for name, attention in found.items() if name in catalogue()}
        metafunc.parametrize("kind_attention", kinds.values(), ids=kinds)


@pytest.fixture(scope="session")
def executed() -> Callable[[str], ModuleType]:
    """A module of some source."""

    def execute(source: str) -> ModuleType:
        module = ModuleType("standing_alone")
        exec(compile(source, "standing_alone.py", "exec"), module.__dict__)
        return module

    return execute


@pytest.fixture(scope="session")
def awake() -> Callable[[Architecture], nn.Module]:
    """The network of an architecture, in eval mode, with no weight of 0 or 1, so that no module is idle."""

    def wake(architecture: Architecture) -> nn.Module:
        network = build_unet(architecture.network, architecture.placement)
        initialise(network, 3)
        generator = torch.Generator().manual_seed(3)
        for tensor in network.state_dict().values():
            if tensor.is_floating_point():
                noise = torch.rand(2, *tensor.shape, generator=generator)
                tensor.mul_(1 + 0.1 * noise[0]).add_(0.02 * noise[1])
        return network.eval()

    return wake


@pytest.fixture
def run(
    make_architecture: Callable[..., Architecture],
    awake: Callable[[Architecture], nn.Module],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Path:
    """A folder such as 'nas-attn train' leaves, below the current folder."""
    monkeypatch.chdir(tmp_path)
    architecture = make_architecture({"skip.0": "se", "decoder.1": "gate(start=identity)"})
    folder = tmp_path / "runs" / "best-cells"
    folder.mkdir(parents=True)
    write_architecture(architecture, folder / "architecture.yaml", catalogue())
    info = WeightsInfo(
        architecture=architecture_id(architecture),
        placement="se at skip.0",
        classes=architecture.classes,
        mean=architecture.mean,
        std=architecture.std,
        bits=16,
        longest_side=512,
        data="f00",
        seed=3,
        epoch=7,
        val_iou=0.8125,
        version="0.1.0",
    )
    write_weights(folder / "weights.safetensors", awake(architecture), info)
    return folder.relative_to(tmp_path)
