"""Files of networks that are not nas-attn's own, in which attention stands in for a part."""

from __future__ import annotations

import importlib
import re
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from nas_attn.architecture import read_architecture, write_architecture
from nas_attn.export.agreement import stirred
from nas_attn.export.onnx_file import write_onnx
from nas_attn.export.program import write_program
from nas_attn.export.python.file import python_source
from nas_attn.export.subject import Subject
from nas_attn.models.catalogue import catalogue
from nas_attn.models.placement import AttentionSpec, Location
from nas_attn.training import fresh_network
from tests.export.conftest import answers_of
from tests.models.test_replacing import TEXTS, look, replacing, subject

PARTS = {"encoder.1": "sk", "bottleneck": "ran", "decoder.1": "condconv(start=identity)"}
"""In the place of a convolution, around a block, and around a convolution."""
WRITERS = {"network.onnx": write_onnx, "network.pt2": write_program}


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("start", ["neutral", "identity"])
def test_the_python_file_computes_the_same_to_the_bit(
    text: str, start: str, small_unet: type[nn.Module], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = look(text)
    placement = replacing(network, start)
    file = tmp_path / "written.py"
    file.write_text(python_source(subject(network, placement).architecture, None, "weights.safetensors"))
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "written", raising=False)
    written = importlib.import_module("written").build()
    module = fresh_network(network, placement, seed=1)
    weights = stirred(module.state_dict())
    module.load_state_dict(weights)
    written.load_state_dict(weights)
    images = torch.randn(2, 3, network.least_size, 2 * network.least_size)
    with torch.no_grad():
        assert torch.equal(written.eval()(images), module.eval()(images))
    assert not re.search(r"^(from|import) nas_attn", file.read_text(), re.MULTILINE)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("file", WRITERS)
def test_graphs_compute_the_same(
    file: str, small_unet: type[nn.Module], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if file == "network.onnx":
        pytest.importorskip("onnx", reason="needs pip install 'nas-attn[onnx]'")
    network = look(TEXTS[0])
    placement = network.plain
    for place, spec in PARTS.items():
        placement = placement.replace(Location.parse(place), AttentionSpec.parse(spec))
    of = subject(network, placement, side=64)  # a map of one pixel is a case apart to PyTorch
    module = of.network()
    module.load_state_dict(stirred(module.state_dict()))
    monkeypatch.setattr(Subject, "network", lambda _: module)
    said = WRITERS[file](of, tmp_path / file, None)
    assert said.startswith("any size from")
    images = torch.randn(2, 3, 64, 96, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        expected, given = module(images), answers_of(tmp_path / file)(images)
    largest = expected.abs().max().item()
    torch.testing.assert_close(given / largest, expected / largest, rtol=0, atol=1e-4)


def test_an_architecture_file_reads_back(small_unet: type[nn.Module], tmp_path: Path) -> None:
    network = look(TEXTS[0])
    architecture = subject(network, replacing(network)).architecture
    write_architecture(architecture, tmp_path / "best.yaml", catalogue())
    read = read_architecture(tmp_path / "best.yaml", catalogue())
    assert (read.network, read.placement) == (network, architecture.placement)
