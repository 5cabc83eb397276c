"""ONNX files and programs of networks of all families, with attention at every place."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
from torch import nn

from nas_attn.architecture import Architecture
from nas_attn.export.agreement import stirred
from nas_attn.export.onnx_file import write_onnx
from nas_attn.export.program import write_program
from nas_attn.export.subject import Subject
from nas_attn.models.discovery import look_at
from nas_attn.models.placement import AttentionSpec
from tests.export.conftest import answers_of
from tests.models.discovery.test_sites import EVERY_NETWORK, installed, slow_unless

WRITERS = {"network.onnx": write_onnx, "network.pt2": write_program}
QUICK = {
    "network.onnx": ("small_unet:SmallUNet", "nnunet:PlainConvUNet"),
    "network.pt2": ("smp:Unet/resnet18", "monai:UNet"),
}
"""Each family once; both writers go through the same program."""


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("file", "text"),
    [
        pytest.param(file, text, marks=slow_unless(quick=text in QUICK[file]))
        for file in WRITERS
        for text in EVERY_NETWORK
    ],
)
def test_a_network_of_any_family_is_written(
    text: str, file: str, small_unet: type[nn.Module], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if file == "network.onnx":
        pytest.importorskip("onnx", reason="needs pip install 'nas-attn[onnx]'")
    network = look_at(installed(text), 3, 2).network
    gated = [one.location for one in network.found if one.gate][:1]
    placement = network.plain.replace(network.found[0].location, AttentionSpec("se"))
    for location in gated:
        placement = placement.replace(location, AttentionSpec("gate"))
    side = 2 * network.least_size
    subject = Subject(Architecture(network, placement, ("ground", "cell"), (0.0,) * 3, (1.0,) * 3, side))
    module = subject.network()
    module.load_state_dict(stirred(module.state_dict()))
    monkeypatch.setattr(Subject, "network", lambda _: module)
    said = WRITERS[file](subject, tmp_path / file, None)

    smallest = re.match(rf"any size from (\d+) pixels up in multiples of {network.divisor}: ", said)
    assert smallest is not None, said
    height, width = int(smallest[1]), int(smallest[1]) + 2 * network.divisor
    images = torch.randn(3, 3, height, width, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        expected, given = module(images), answers_of(tmp_path / file)(images)
    largest = expected.abs().max().item()
    assert largest > 0.01
    torch.testing.assert_close(given / largest, expected / largest, rtol=0, atol=1e-4)
