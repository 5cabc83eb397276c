"""The nearest smp.Unet: only where its attention is ours, and refused with every location that it lacks."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from nas_attn.architecture import Architecture
from nas_attn.budget import Budget
from nas_attn.errors import ExportError, MissingPackageError
from nas_attn.export.smp import smp_arguments, smp_text, write_smp
from nas_attn.export.subject import Subject
from nas_attn.models.catalogue import catalogue
from nas_attn.models.network import UNetConfig
from nas_attn.space import read_space
from nas_attn.strategy.schedule.reference_architectures import reference_evaluations

Make = Callable[..., Architecture]
NETWORK = UNetConfig(in_channels=2, classes=3, depth=3, base_channels=16, upsampling="bilinear")
WHOLE_DECODER = dict.fromkeys(("decoder.0", "decoder.1", "decoder.2"), "scse(min_hidden=1,reduction=16)")


@pytest.fixture
def smp() -> object:
    return pytest.importorskip("segmentation_models_pytorch", reason="needs pip install -e '.[reference]'")


def test_scse_in_the_whole_decoder_is_a_call(smp: object, make_architecture: Make, tmp_path: Path) -> None:
    subject = Subject(make_architecture(WHOLE_DECODER, NETWORK))
    said = write_smp(subject, tmp_path / "net.smp.py")
    source = (tmp_path / "net.smp.py").read_text(encoding="utf-8")
    names: dict[str, object] = {}
    exec(source.replace("classes=3,", "classes=3, encoder_weights=None,"), names)  # nothing is downloaded
    logits = names["network"].eval()(torch.zeros(1, 2, 32, 32))  # type: ignore[attr-defined]

    assert logits.shape == (1, 3, 32, 32)
    assert 'decoder_attention_type="scse"' in source
    assert "a second scSE" in source
    assert "here: bilinear" in source
    assert "with equal weights its scSE differ by at most" in said


def test_the_plain_network_is_a_call_without_attention(smp: object, make_architecture: Make) -> None:
    network = UNetConfig(2, 3, depth=5, base_channels=8)
    text, said = smp_text(Subject(make_architecture({}, network, image_size=32)))

    assert "decoder_attention_type=None" in text
    assert "decoder_channels=(128, 64, 32, 16, 8)" in text
    assert "no attention either" in said


@pytest.mark.parametrize(
    ("placed", "problems"),
    [
        (
            {"skip.0": "gate", "encoder.1": "se"},
            ["encoder.1 has se", "skip.0 has gate; smp has scse"],
        ),
        ({**WHOLE_DECODER, "skip.1": "se"}, ["skip.1 has se"]),
        (
            {"decoder.1": "scse(min_hidden=1,reduction=16)"},
            ["decoder.0 has no attention", "decoder.2 has no attention"],
        ),
        (dict.fromkeys(WHOLE_DECODER, "scse"), [f"decoder.{level} has scse" for level in range(3)]),
        (
            dict.fromkeys(WHOLE_DECODER, "scse(min_hidden=1,reduction=16,start=identity)"),
            ["decoder.0", "decoder.1", "decoder.2"],
        ),
    ],
)
def test_what_smp_lacks_is_named(placed: dict[str, str], problems: list[str], make_architecture: Make) -> None:
    with pytest.raises(ExportError) as caught:
        smp_arguments(make_architecture(placed, NETWORK))

    assert len(caught.value.problems) == len(problems)
    for problem, expected in zip(caught.value.problems, problems, strict=True):
        assert expected in problem


def test_a_network_that_smp_cannot_have_is_refused(make_architecture: Make) -> None:
    network = UNetConfig(2, 3, depth=2, base_channels=8)
    attention = dict.fromkeys(("decoder.0", "decoder.1"), "scse(min_hidden=1,reduction=16)")
    with pytest.raises(ExportError) as caught:
        smp_arguments(make_architecture(attention, network))

    assert [problem.partition(": ")[2] for problem in caught.value.problems] == [
        "8 base channels: smp's scse needs at least 16",
        "depth 2: smp's encoders have 3 to 5",
    ]


def test_a_missing_package_is_named(make_architecture: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "segmentation_models_pytorch", None)

    with pytest.raises(MissingPackageError, match="pip install segmentation-models-pytorch"):
        smp_text(Subject(make_architecture({}, NETWORK)))


def test_the_reference_architecture_of_smp_can_be_exported(smp: object, make_architecture: Make) -> None:
    space = read_space("unet_attention_small", catalogue(), base_channels=16, image_size=32)
    (reference,) = [
        one.placement
        for one in reference_evaluations(space, (Budget(10, 32, 4),), 0, lambda _: True)
        if one.reference == "scse in the decoder, as in smp"
    ]
    placed = {str(location): str(spec) for location, spec in reference.attended}
    text, said = smp_text(Subject(make_architecture(placed, NETWORK)))

    assert 'decoder_attention_type="scse"' in text
    assert "with equal weights its scSE differ by at most" in said
