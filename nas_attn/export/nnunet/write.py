"""nnU-Net's trainers as a file, whose attention is compared in a network of nnU-Net's before it is kept."""

from __future__ import annotations

from pathlib import Path

from nas_attn.architecture import Architecture
from nas_attn.architecture.replacing import write_text
from nas_attn.errors import ExportError
from nas_attn.export.agreement import Agreement, compare, probes, stirred
from nas_attn.export.nnunet.file import BASELINE, TrainerSource, trainer_name, trainer_source
from nas_attn.export.python.write import executed
from nas_attn.export.subject import Subject
from nas_attn.models.asked_network import AskedNetwork
from nas_attn.models.build import build_network
from nas_attn.models.discovery import build_fresh, look_at
from nas_attn.models.placement import Placement, Stage

_WIDEST = 128
"""Channels of the network for the comparison; nnU-Net's own may have more."""


def write_trainers(subject: Subject, path: Path) -> str:
    """Write a file with two trainers for nnU-Net v2: with the attention of an architecture, and without.

    Args:
        subject: whose attention; nnU-Net trains it anew, from its own start.
        path: of the file.
    Returns:
        in words, what to train by, and how the attention compares with that of nas-attn.
    Raises:
        ExportError: the attention cannot stand in a planned network, nnU-Net would not find the file, or the path
            cannot be written.
        NetworkError: nnU-Net's networks are not installed, so that nothing can be compared.
    """
    if "." in path.stem:
        other = path.with_stem(path.stem.replace(".", "_"))
        raise ExportError(f"{path}: nnU-Net finds no file with a dot in its name; write -o {other}")
    source = trainer_source(subject.architecture)
    agreement = _agreement(subject.architecture, source, path)
    if not agreement.exact:
        raise ExportError(f"{path}: not written: the file's attention is not the same ({agreement})")
    write_text(path, str(source))
    trainers = f"trainers {trainer_name(subject.architecture)} and {BASELINE}"
    return f"{trainers}; in nnU-Net's PlainConvUNet {agreement}"


def _agreement(architecture: Architecture, source: TrainerSource, path: Path) -> Agreement:
    """The same network with attention from nas-attn and from the file, with weights that leave no module idle."""
    levels = [one.level for one, _ in architecture.placement.attended if one.stage is not Stage.BOTTLENECK]
    stages = max([*levels, 1]) + 2
    asked = AskedNetwork("nnunet", "PlainConvUNet", _arguments(stages))
    channels, classes = architecture.network.in_channels, len(architecture.classes)
    network = look_at(asked, channels, classes).network
    known = dict(architecture.placement)
    placement = Placement(tuple((one, known.get(one, none)) for one, none in network.plain))
    ours = build_network(network, placement).eval()
    module = executed(source.without_trainers, path)
    theirs = getattr(module, source.attend)(build_fresh(asked, channels, classes, seed=0), module.ATTENTION)
    state = stirred(theirs.state_dict())
    theirs.load_state_dict(state)
    ours.load_state_dict({f"network.{name}": tensor for name, tensor in state.items()})
    images = probes(channels, 2**stages, network.least_size, multiple=network.divisor)
    return compare(ours, theirs.eval(), list(images))


def _arguments(stages: int) -> dict[str, object]:
    """Of a planned network with so many stages."""
    features = tuple(min(32 * 2**stage, _WIDEST) for stage in range(stages))
    return {"n_stages": stages, "features_per_stage": features, "strides": (1, *(2,) * (stages - 1))}
