"""Write an architecture in some formats, each compared with the network before its file is kept."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from nas_attn.architecture import Architecture
from nas_attn.architecture.read import parse_architecture
from nas_attn.architecture.replacing import replacing, write_text
from nas_attn.architecture.write import architecture_text
from nas_attn.errors import ExportError, NasAttnError
from nas_attn.export.subject import Subject
from nas_attn.models.catalogue import catalogue
from nas_attn.steps import step


@dataclass(frozen=True)
class Saved:
    """One file that was written.

    Args:
        format: its name.
        path: of the file.
        check: result of the comparison with the network, in words.
    """

    format: str
    path: Path
    check: str


def save(subject: Subject, targets: Mapping[str, Path], image_size: int | None = None) -> Iterator[Saved]:
    """Write files one after the other. One that cannot be written does not stop the others.

    Args:
        subject: to write.
        targets: the file of each format.
        image_size: H and W of a graph that cannot take every size; None takes those of the search.
    Raises:
        ExportError: some files could not be written, each with its reason; raised after all others were written.
    """
    problems: list[str] = []
    for name, path in targets.items():
        try:
            yield from _save(subject, name, path, image_size)
        except NasAttnError as error:
            problems += error.problems
    if problems:
        raise ExportError(problems)


def _save(subject: Subject, name: str, path: Path, image_size: int | None) -> Iterator[Saved]:
    if name == "yaml":  # the one format for which nothing has to import torch
        yield Saved(name, path, _write_yaml(subject.architecture, path))
    elif name == "python":
        yield from _save_python(subject, path)
    else:
        with step(f"writing {path}"):
            text = _write(subject, name, path, image_size)
        yield Saved(name, path, text)


def _save_python(subject: Subject, path: Path) -> Iterator[Saved]:
    """Write the Python file, and the weights next to it if there are any."""
    from nas_attn.export.python.write import check_pair, write_python

    weights = path.with_suffix(".safetensors")
    if subject.weights is not None:
        check_pair(path, weights, subject.weights)
    with step(f"writing {path}"):
        text = write_python(subject, path, weights.name)
    yield Saved("python", path, text)
    if subject.weights is not None:
        yield _copied(subject.weights, weights)


def _write(subject: Subject, name: str, path: Path, image_size: int | None) -> str:
    """Write one format, and return the result of the comparison in words."""
    from nas_attn.export.card import write_card
    from nas_attn.export.nnunet.file import write_trainers
    from nas_attn.export.onnx_file import write_onnx
    from nas_attn.export.program import write_program
    from nas_attn.export.script.file import write_script
    from nas_attn.export.smp import write_smp

    if name == "onnx":
        return write_onnx(subject, path, image_size)
    if name == "program":
        return write_program(subject, path, image_size)
    if name == "script":
        return write_script(subject, path)
    if name == "nnunet":
        return write_trainers(subject, path)
    return write_card(subject, path) if name == "card" else write_smp(subject, path)


def _write_yaml(architecture: Architecture, path: Path) -> str:
    text = architecture_text(architecture, catalogue(), path.name)
    if parse_architecture(text, str(path), catalogue()) != architecture:
        raise ExportError(f"{path}: not written: when read back, it is a different architecture")
    write_text(path, text)
    return "reads back as the same architecture"


def _copied(weights: Path, path: Path) -> Saved:
    if not (path.exists() and path.samefile(weights)):
        with replacing(path) as part:
            shutil.copyfile(weights, part)
    return Saved("weights", path, f"copied from {weights}")
