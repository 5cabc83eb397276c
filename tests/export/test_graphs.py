"""ONNX files and programs: the network's answers, for any size or, said so, for one."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
import torch
from torch import nn
from torch.nn import functional

from nas_attn.architecture import Architecture
from nas_attn.errors import ExportError, MissingPackageError
from nas_attn.export import onnx_file, trace
from nas_attn.export.onnx_file import write_onnx
from nas_attn.export.program import write_program
from nas_attn.export.subject import Subject
from nas_attn.models.attention import _attend
from nas_attn.models.attention.tam import mix_frames
from nas_attn.models.build import build_unet
from nas_attn.models.network import UNetConfig
from nas_attn.models.unet.layers import TransposeUp
from nas_attn.training import initialise
from nas_attn.training.full.prediction import frames_together
from tests.export.conftest import answers_of

Make = Callable[..., Architecture]
MIX = {"encoder.0": "cbam", "bottleneck": "pam", "skip.0": "gate", "decoder.0": "scse(start=identity)"}
SIZES = ((1, 32, 32), (3, 13, 18))

WRITERS = {"onnx": write_onnx, "program": write_program}


@pytest.fixture
def subject(awake: Callable[[Architecture], nn.Module], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Subject]:
    """A subject whose network has weights that leave no module idle."""

    def make(architecture: Architecture) -> Subject:
        monkeypatch.setattr(Subject, "network", lambda self: awake(self.architecture))
        return Subject(architecture)

    return make


def assert_answers(path: Path, network: nn.Module, sizes: tuple[tuple[int, int, int], ...]) -> None:
    answers = answers_of(path)
    with torch.inference_mode():
        for number, height, width in sizes:
            images = torch.randn(number, 2, height, width)
            logits = network(images)
            torch.testing.assert_close(answers(images), logits, atol=1e-5 * logits.abs().max().item(), rtol=0)


def written(subject: Subject, path: Path) -> str:
    if path.suffix == ".onnx":
        for package in ("onnx", "onnxscript", "onnxruntime"):
            pytest.importorskip(package, reason="needs pip install 'nas-attn[onnx]'")
        return write_onnx(subject, path, None)
    return write_program(subject, path, None)


@pytest.mark.parametrize("suffix", [".onnx", ".pt2"])
def test_a_mix_of_kinds_takes_images_of_any_number_and_size(
    suffix: str, subject: Callable[..., Subject], make_architecture: Make, tmp_path: Path
) -> None:
    path = tmp_path / f"best{suffix}"
    mixed = subject(make_architecture(MIX))

    assert written(mixed, path).startswith("any size from 8 pixels up: ")
    assert_answers(path, mixed.network(), SIZES)


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_a_graph_of_clips_takes_any_number_of_whole_clips(
    subject: Callable[..., Subject], make_architecture: Make, tmp_path: Path
) -> None:
    path = tmp_path / "best.pt2"
    film = subject(make_architecture({"skip.1": "tam"}))

    assert written(film, path).startswith("whole clips of 3 frames, any size from 8 pixels up: ")
    assert_answers(path, film.network(), ((3, 13, 18), (9, 32, 32)))
    with pytest.raises(AssertionError, match=r"% 3 == 0"):
        answers_of(path)(torch.zeros(4, 2, 16, 16))


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_a_graph_whose_attention_looks_at_single_frames_takes_any_number_of_them(
    make_architecture: Make, tmp_path: Path
) -> None:
    """Though its network was searched on clips."""
    network = UNetConfig(in_channels=2, classes=3, depth=2, base_channels=4, frames=3)
    said = write_program(Subject(make_architecture({}, network)), tmp_path / "best.pt2", None)

    assert said.startswith("any size from 8 pixels up: ")
    assert answers_of(tmp_path / "best.pt2")(torch.zeros(1, 2, 16, 16)).shape == (1, 3, 16, 16)


def test_an_onnx_file_says_what_goes_in_and_comes_out(
    subject: Callable[..., Subject], make_architecture: Make, tmp_path: Path
) -> None:
    onnx = pytest.importorskip("onnx", reason="needs pip install 'nas-attn[onnx]'")
    written(subject(make_architecture({"skip.1": "se"})), tmp_path / "best.onnx")
    model = onnx.load(tmp_path / "best.onnx")
    facts = {entry.key: entry.value for entry in model.metadata_props}

    assert [value.name for value in (*model.graph.input, *model.graph.output)] == ["images", "logits"]
    for value, channels in ((model.graph.input[0], 2), (model.graph.output[0], 3)):
        shape = value.type.tensor_type.shape.dim
        assert [one.dim_param or one.dim_value for one in shape] == ["batch", channels, "height", "width"]
    assert json.loads(facts["classes"]) == ["background", "cell", "wall"]
    assert json.loads(facts["mean"]) == [120.5, 1e-05]
    assert facts["placement"] == "se at skip.1"
    assert "nothing was trained" in facts["weights"]


class SizeBound(nn.Module):
    """What only one size can be traced through."""

    def forward(self, x: torch.Tensor, skip: torch.Tensor) -> torch.Tensor:
        fine = functional.interpolate(x[:, : skip.shape[1]], size=skip.shape[2:])
        return fine + 1 if int(skip.shape[2]) % 8 == 0 else fine


@pytest.fixture
def bound(make_architecture: Make, monkeypatch: pytest.MonkeyPatch) -> Subject:
    """A subject whose network asks for the size of its images and answers accordingly."""

    def network(self: Subject) -> nn.Module:
        made = build_unet(self.architecture.network, self.architecture.placement).eval()
        initialise(made, 0)
        made.up = nn.ModuleList(SizeBound() for _ in made.up)
        return made

    monkeypatch.setattr(Subject, "network", network)
    return Subject(make_architecture({}))


def test_a_network_that_depends_on_the_size_is_written_for_one(bound: Subject, tmp_path: Path) -> None:
    said = write_program(bound, tmp_path / "best.pt2", 24)
    images = torch.randn(5, 2, 24, 24)

    assert said.startswith("images of 24x24 only (")
    assert said.endswith("equal to the bit on 2 x 24x24, 3 x 24x24")
    assert torch.equal(answers_of(tmp_path / "best.pt2")(images), bound.network()(images))


@pytest.mark.parametrize("name", WRITERS)
def test_what_cannot_be_expressed_is_refused_in_one_line(
    name: str, make_architecture: Make, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def impossible(*arguments: object, **options: object) -> object:
        raise RuntimeError("no such operation: aten.magic\nand much more")

    monkeypatch.setattr(trace, "traced", impossible)
    monkeypatch.setattr(onnx_file, "_needed", lambda package: None)
    with pytest.raises(ExportError) as caught:
        WRITERS[name](Subject(make_architecture({"skip.0": "se"})), tmp_path / "best", None)

    (line,) = caught.value.problems
    assert line.endswith("cannot express se at skip.0: RuntimeError: no such operation: aten.magic")
    assert list(tmp_path.iterdir()) == []


def test_answers_that_differ_are_refused(
    make_architecture: Make, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    class Wrong(nn.Module):
        def __init__(self, up: TransposeUp) -> None:
            super().__init__()
            self.conv = up.conv

        def forward(self, x: torch.Tensor, skip: torch.Tensor) -> torch.Tensor:
            return functional.interpolate(self.conv(x), size=skip.shape[2:]).abs()

    monkeypatch.setattr(trace, "AnySizeUp", Wrong)
    with pytest.raises(ExportError, match="its answers differ: largest difference"):
        write_program(Subject(make_architecture({})), tmp_path / "best.pt2", None)
    assert list(tmp_path.iterdir()) == []


def test_a_size_that_is_too_small_is_refused(make_architecture: Make, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="--image-size is 3; a U-Net of depth 2 needs at least 4"):
        write_program(Subject(make_architecture({})), tmp_path / "best.pt2", 3)


@pytest.mark.parametrize("missing", ["onnx", "onnxscript", "onnxruntime"])
def test_a_missing_package_is_named_with_its_mend(
    missing: str, make_architecture: Make, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Whatever is installed here."""
    for package in ("onnx", "onnxscript", "onnxruntime"):
        monkeypatch.setitem(sys.modules, package, None if package == missing else ModuleType(package))

    with pytest.raises(MissingPackageError, match=rf"onnx needs {missing}, .*pip install 'nas-attn\[onnx\]'"):
        write_onnx(Subject(make_architecture({})), tmp_path / "best.onnx", None)


@pytest.mark.parametrize("size", [(3, 5), (7, 7), (20, 33), (8, 14)])
def test_pooling_by_weights_is_adaptive_pooling(size: tuple[int, int]) -> None:
    x = torch.randn(2, 3, *size, dtype=torch.float64)

    for result in (7, (2, 3)):
        torch.testing.assert_close(trace.adaptive_average(x, result), functional.adaptive_avg_pool2d(x, result))


@pytest.mark.parametrize("size", [(8, 8), (9, 8), (7, 11)])
def test_the_up_layer_of_a_graph_is_the_networks(size: tuple[int, int]) -> None:
    up = TransposeUp(4, 2)
    x, skip = torch.randn(1, 4, size[0] // 2, size[1] // 2), torch.zeros(1, 1, *size)

    assert torch.equal(trace.AnySizeUp(up)(x, skip), up(x, skip))


def test_frames_mixed_by_shifts_are_those_mixed_by_a_convolution() -> None:
    for kernel in (3, 5):
        clips, kernels = torch.randn(2, 4, 3, 5, 6), torch.randn(2, 3, kernel)
        torch.testing.assert_close(trace.mixed_by_shifts(clips, kernels), mix_frames(clips, kernels))


@pytest.mark.parametrize("dilation", [1, 2])
@pytest.mark.parametrize("stride", [1, 2, 4])
@pytest.mark.parametrize("kernel_size", [1, 3, 5])
def test_the_padding_of_a_graph_is_that_of_timm_where_the_stride_divides_the_side(
    kernel_size: int, stride: int, dilation: int
) -> None:
    padding = pytest.importorskip("timm.layers.padding", reason="needs pip install 'nas-attn[smp]'")
    for length in (stride, 3 * stride, 20 * stride):
        expected = padding.get_same_padding(length, kernel_size, stride, dilation)
        assert trace.even_padding(length, kernel_size, stride, dilation) == expected


def test_the_graph_of_a_network_that_pads_by_its_size_pads_by_numbers() -> None:
    """A formula of the size in each layer, one within the other, is simplified for ever."""
    layers = pytest.importorskip("timm.layers.conv2d_same", reason="needs pip install 'nas-attn[smp]'")
    network = Named(nn.Sequential(*(layers.Conv2dSame(1, 1, 3, stride=2) for _ in range(3))))
    graph = trace.traced(network, torch.randn(2, 1, 48, 80), any_size=True)
    pads = [node.args[1] for node in graph.graph.nodes if "pad" in str(node.target)]

    assert pads == [[0, 1, 0, 1]] * 3
    images = torch.randn(1, 1, 96, 64)
    torch.testing.assert_close(graph.module()(images), network(images))


class Named(nn.Module):
    """A network whose input has the name that graphs give it."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        answer: torch.Tensor = self.inner(images)
        return answer


def test_tracing_leaves_attention_as_it_was(make_architecture: Make) -> None:
    before = _attend.most_plain_positions, functional.adaptive_avg_pool2d
    trace.traced(
        Subject(make_architecture({"bottleneck": "pam"})).network(), torch.zeros(2, 2, 24, 20), any_size=True
    )

    assert (_attend.most_plain_positions, functional.adaptive_avg_pool2d) == before


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("suffix", [".onnx", ".pt2"])
def test_every_kind_keeps_what_is_said_of_its_sizes(
    suffix: str,
    kind_attention: dict[str, str],
    subject: Callable[..., Subject],
    make_architecture: Make,
    tmp_path: Path,
) -> None:
    place, kind = list(kind_attention.items())[-1]
    path = tmp_path / f"best{suffix}"
    placed = subject(make_architecture({place: kind}, image_size=32))
    said = written(placed, path)
    frames = frames_together(placed.architecture)

    claim = re.match(r"(?:whole clips of 3 frames, )?any size from (\d+) pixels up: ", said)
    assert claim is not None, said
    least = int(claim[1])
    sizes = ((frames, least, least), (3 * frames, least + 5, least + 10), (frames, 64, 64))
    assert_answers(path, placed.network(), sizes)
