"""Export formats, and the file of each."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from nas_attn.commands import command
from nas_attn.errors import UsageError, did_you_mean


@dataclass(frozen=True)
class Format:
    """An export format.

    Args:
        name: for ``--format``.
        suffixes: of its files, the usual one first.
        about: what it is, in a few words.
    """

    name: str
    suffixes: tuple[str, ...]
    about: str


FORMATS = {
    one.name: one
    for one in (
        Format("yaml", (".yaml", ".yml"), f"architecture file, for nas_attn.load and '{command('train')}'"),
        Format("python", (".py",), "one readable file that needs only PyTorch"),
        Format("onnx", (".onnx",), "for ONNX Runtime and others; needs the extra 'onnx'"),
        Format("program", (".pt2",), "for torch.export.load; runs without the network's classes"),
        Format("card", (".md",), "model card in Markdown"),
        Format("script", ("_train.py", ".py"), "training script for a network of smp, MONAI or your own"),
        Format("nnunet", ("_nnunet.py", ".py"), "trainers for nnU-Net v2: with this attention, and the baseline"),
        Format("smp", (".smp.py", ".py"), "the nearest smp.Unet(...), where there is one; printed without -o"),
    )
}


def known_formats(names: Iterable[str]) -> tuple[str, ...]:
    """Check names of formats, and remove duplicates.

    Raises:
        UsageError: one is unknown; all such names are reported.
    """
    names = tuple(dict.fromkeys(name.strip() for name in names))
    if unknown := [name for name in names if name not in FORMATS]:
        raise UsageError([f"unknown format '{name}'; {did_you_mean(name, FORMATS)}" for name in unknown])
    return names


def targets(output: Path, formats: Sequence[str] | None) -> dict[str, Path]:
    """The file of each format.

    Args:
        output: a file; with several formats, the files' name without its suffix.
        formats: names; None takes the format of the suffix.
    Raises:
        UsageError: the suffix belongs to no format, or to another one.
    """
    said = _said(output)
    if formats is None:
        if said is None:
            suffixes = ", ".join(f"{one.suffixes[0]} ({name})" for name, one in FORMATS.items())
            raise UsageError(
                f"{output}: which format? Give the file one of these suffixes: {suffixes}; or say --format"
            )
        return {said: output}
    if len(formats) == 1:
        if said is not None and not output.name.lower().endswith(FORMATS[formats[0]].suffixes):
            raise UsageError(f"{output}: has the suffix of a {said} file, but the format is {formats[0]}")
        return {formats[0]: output}
    if said is not None:
        files = ", ".join(output.stem + FORMATS[name].suffixes[0] for name in formats)
        raise UsageError(
            f"{output}: with several formats, leave the suffix out: -o {output.with_suffix('')} writes {files}"
        )
    return {name: output.with_name(output.name + FORMATS[name].suffixes[0]) for name in formats}


def _said(output: Path) -> str | None:
    """The format with the longest matching suffix; None if there is none."""
    name = output.name.lower()
    fitting = [
        (len(suffix), -order, one.name)
        for order, one in enumerate(FORMATS.values())
        for suffix in one.suffixes
        if name.endswith(suffix)
    ]
    return max(fitting)[2] if fitting else None
