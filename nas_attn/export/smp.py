"""The nearest constructor call of segmentation_models.pytorch, if that library can express the placement."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import torch
from torch import nn

from nas_attn.architecture import Architecture
from nas_attn.architecture.replacing import write_text
from nas_attn.errors import ExportError, MissingPackageError
from nas_attn.export.subject import Subject
from nas_attn.models.build import attention_modules
from nas_attn.models.catalogue import KINDS
from nas_attn.models.described_network import DescribedNetwork
from nas_attn.models.network import UNetConfig
from nas_attn.models.placement import AttentionSpec, Stage
from nas_attn.wording.placements import describe

REDUCTION = 16
"""Reduction of the only attention that smp.Unet has."""

DEPTHS = range(3, 6)
"""Number of halvings that encoders of smp can have."""

_TEXT = """\
# {title}: the nearest that segmentation_models.pytorch has.
# The same: {same}.
{different}import segmentation_models_pytorch as smp

network = smp.Unet(
{arguments})
"""


def smp_text(subject: Subject) -> tuple[str, str]:
    """A call of ``smp.Unet``, and how its attention compares with the network's.

    Raises:
        ExportError: smp cannot express the placement; each location with a problem is reported.
        MissingPackageError: segmentation_models.pytorch is not installed, so nothing can be compared.
    """
    architecture = subject.architecture
    arguments = smp_arguments(architecture)
    text = _TEXT.format(
        title=describe(architecture.placement),
        same="no attention anywhere"
        if arguments["decoder_attention_type"] is None
        else "scSE behind each decoder block",
        different="".join(f"# Different: {line}.\n" for line in _differences(architecture)),
        arguments="".join(f"    {name}={_literal(value)},\n" for name, value in arguments.items()),
    )
    return text, _compared(subject, arguments)


def write_smp(subject: Subject, path: Path) -> str:
    """Write this call to a file.

    Returns:
        how its attention compares with the network's.
    Raises:
        ExportError: see ``smp_text``, or the path cannot be written.
        MissingPackageError: see ``smp_text``.
    """
    text, verdict = smp_text(subject)
    write_text(path, text)
    return verdict


def smp_arguments(architecture: Architecture) -> dict[str, Any]:
    """Keywords of ``smp.Unet``.

    Raises:
        ExportError: smp cannot express the placement.
    """
    network, placement = architecture.network, architecture.placement
    if isinstance(network, DescribedNetwork):
        raise ExportError(
            f"smp: {network.title} is not a nas-attn U-Net; --format python writes the call that builds it, "
            "with its attention"
        )
    decoder = [location for location, _ in placement if location.stage is Stage.DECODER]
    scse = bool(placement.attended)
    problems = [
        f"{location} has {spec}"
        for location, spec in placement.attended
        if location not in decoder or _unstarted(spec) != _scse()
    ]
    if scse and not problems:
        empty = [location for location in decoder if _unstarted(placement[location]) != _scse()]
        problems = [f"{location} has no attention" for location in empty]
    if problems:
        problems[-1] += f"; smp has {_scse()} in the whole decoder, or nothing at all"
    if scse and network.base_channels < REDUCTION:
        problems.append(f"{network.base_channels} base channels: smp's scse needs at least {REDUCTION}")
    if network.depth not in DEPTHS:
        problems.append(f"depth {network.depth}: smp's encoders have 3 to 5")
    if problems:
        raise ExportError([f"smp cannot express this network: {problem}" for problem in problems])
    return {
        "encoder_name": "resnet34",
        "encoder_depth": network.depth,
        "decoder_channels": tuple(network.channels(level) for level in reversed(range(network.depth))),
        "decoder_attention_type": "scse" if scse else None,
        "in_channels": network.in_channels,
        "classes": network.classes,
    }


def _scse() -> AttentionSpec:
    return KINDS["scse"].kind.spec({"reduction": REDUCTION, "min_hidden": 1})


def _unstarted(spec: AttentionSpec) -> AttentionSpec:
    """The spec without the published start, which is also smp's and changes no computation."""
    return AttentionSpec(spec.kind, tuple(pair for pair in spec.options if pair != ("start", "paper")))


def _differences(architecture: Architecture) -> list[str]:
    network = architecture.network
    found = ["the encoder is that of smp, and pretrained", "the finest decoder block has no skip"]
    if architecture.placement.attended:
        found.append("smp puts a second scSE on what enters each decoder block but the last")
    if isinstance(network, UNetConfig):
        found.append(f"it enlarges by the nearest pixel (here: {network.upsampling})")
        if network.norm != "batch":
            found.append(f"it normalises by batch (here: {network.norm})")
    return found


def _compared(subject: Subject, arguments: dict[str, Any]) -> str:
    """Compare the modules after the decoder blocks with the same weights, on the same maps."""
    try:
        smp = importlib.import_module("segmentation_models_pytorch")
    except ImportError:
        raise MissingPackageError(
            "smp: segmentation_models.pytorch is not installed: pip install segmentation-models-pytorch"
        ) from None
    theirs = smp.Unet(**arguments, encoder_weights=None).decoder.blocks
    if arguments["decoder_attention_type"] is None:
        if any(type(module).__name__ == "SCSEModule" for module in theirs.modules()):
            raise ExportError("this version of smp puts attention where none was asked for; nothing was written")
        return "the network of smp was built; it has no attention either"
    ours = attention_modules(subject.network())
    differences = []
    for level, block in zip(reversed(range(len(theirs))), theirs, strict=True):
        module, attention = ours[f"decoder.{level}"], block.attention2.attention
        _copy(module, attention)
        channels = arguments["decoder_channels"][len(theirs) - 1 - level]
        x = torch.randn(2, channels, 6, 5, generator=torch.Generator().manual_seed(0))
        with torch.inference_mode():
            differences.append((module(x) - attention(x)).abs().max().item())
    largest = torch.tensor(differences).max().item()
    if not largest < 1e-4:
        raise ExportError(
            f"this version of smp computes another scse (largest difference {largest:.1e}); nothing was written"
        )
    return f"the network of smp was built; with equal weights its scSE differ by at most {largest:.1e} from ours"


def _copy(ours: nn.Module, theirs: nn.Module) -> None:
    """Copy the weights of our scSE into theirs."""
    state = ours.state_dict()
    names = {
        "perceptron.squeeze": "cSE.1",
        "perceptron.excite": "cSE.3",
        "conv": "sSE.0",
    }
    wanted = theirs.state_dict()
    copied = {
        f"{their}.{kind}": state[f"{our}.{kind}"].view(wanted[f"{their}.{kind}"].shape)
        for our, their in names.items()
        for kind in ("weight", "bias")
    }
    theirs.load_state_dict(copied)


def _literal(value: Any) -> str:
    return f'"{value}"' if isinstance(value, str) else repr(value)
