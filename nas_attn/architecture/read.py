"""An architecture file to its value; nothing in it is executed, and everything in it is checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import Annotated, Any

from annotated_types import Ge

from nas_attn.architecture.architecture import FORMAT, Architecture, Found, Results, Verified, input_problems
from nas_attn.architecture.placement import read_placement
from nas_attn.commands import command
from nas_attn.document import Entry, FileKind, Problems, parse_document, read_sound, read_text, shown_path
from nas_attn.errors import ExportError
from nas_attn.losses import weight_problem
from nas_attn.models.described_network import Network, WrittenDescription
from nas_attn.models.kind import AttentionKind
from nas_attn.models.network import UNetConfig

_KIND = FileKind(
    "an architecture file",
    f"format: {FORMAT}",
    ExportError,
    example="an architecture file, such as best.yaml",
    missing=f"; '{command('export', 'STUDY')} -o {{path}}' writes one",
)
_START = f"an architecture file starts with 'format: {FORMAT}'"


@dataclass(frozen=True)
class _Input:
    image_size: Annotated[int, Ge(1)]
    mean: tuple[float, ...]
    std: tuple[float, ...]


@dataclass(frozen=True)
class _File:
    """The fields of the file; the placement is read with the kinds at hand."""

    format: int
    network: UNetConfig
    placement: Any
    classes: tuple[str, ...]
    input: _Input
    found: Found | None = None
    results: Results | None = None
    verified: Verified | None = None
    multi_label: bool = False


@dataclass(frozen=True)
class _OtherFile(_File):
    """The same, of a network that is not nas-attn's own."""

    network: WrittenDescription  # type: ignore[assignment]  # another family, other fields


def read_architecture(path: str | Path, kinds: Mapping[str, AttentionKind]) -> Architecture:
    """Read what ``write_architecture`` wrote, or what a person made of it.

    Args:
        path: of the file.
        kinds: the attention kinds by name.
    Raises:
        ExportError: the file cannot be read, is of a newer format, or is wrong; all problems are named, each
            with its line and field.
    """
    path = Path(path)
    return parse_architecture(read_text(path, _KIND), shown_path(path), kinds)


def parse_architecture(text: str, where: str, kinds: Mapping[str, AttentionKind]) -> Architecture:
    """Read the content of an architecture file.

    Args:
        text: the content.
        where: the file, as its reader knows it.
        kinds: the attention kinds by name.
    Raises:
        ExportError: see ``read_architecture``.
    """
    problems = Problems(where, _KIND)
    root = parse_document(text, problems)
    _check_format(root, where)
    return _architecture(root, problems, kinds)


def _architecture(root: Entry, problems: Problems, kinds: Mapping[str, AttentionKind]) -> Architecture:
    """Raises ExportError with all problems, as ``Problems`` does."""
    other = "family" in root.fields.get("network", root).fields
    read = read_sound(root, _OtherFile if other else _File, problems)
    if not other:
        _check_complete(root, problems)
    network = _network(root, read.get("network"), problems)
    placement = read_placement(root, network, problems, kinds)
    taken: _Input | None = read.get("input")
    if network is not None and taken is not None and "classes" in read:
        entries = root.fields | root.fields["input"].fields
        for name, problem in input_problems(network, read["classes"], taken.mean, taken.std, taken.image_size):
            problems.add(entries[name], problem)
    found: Found | None = read.get("found")
    if found is not None and "classes" in read and (wrong := weight_problem(found.class_weights, read["classes"])):
        problems.add(root.fields["found"].fields["class_weights"], wrong)
    problems.raise_if_any()
    if network is None or placement is None or taken is None:
        raise AssertionError("what cannot be read is a problem")
    return Architecture(
        network=network,
        placement=placement,
        classes=read["classes"],
        mean=taken.mean,
        std=taken.std,
        image_size=taken.image_size,
        found=found,
        results=read.get("results"),
        verified=read.get("verified"),
        multi_label=read.get("multi_label", False),
    )


def _network(root: Entry, read: UNetConfig | WrittenDescription | None, problems: Problems) -> Network | None:
    """The network that a file describes; None where that is wrong."""
    if not isinstance(read, WrittenDescription):
        return read
    if not read.sites:
        problems.add(root.fields["network"], "the field 'sites' is missing")
        return None
    return read.network


def _check_complete(root: Entry, problems: Problems) -> None:
    """A network is written with all of its fields, but for the frames of still images."""
    network = root.fields.get("network")
    if network is None or not isinstance(network.value, dict):
        return
    for field in fields(UNetConfig):
        if field.name not in network.fields and field.default is not MISSING and field.name != "frames":
            problems.add(network, f"the field '{field.name}' is missing")


def _check_format(root: Entry, where: str) -> None:
    """The format before all else: what a newer one means cannot be judged."""
    if not isinstance(root.value, dict):
        raise ExportError(f"{where}: line {root.line}: this is {root.shown}, not an architecture; {_START}")
    if "format" not in root.value:
        raise ExportError(f"{where}: field 'format' is missing; {_START}")
    entry = root.value["format"]
    if isinstance(entry.value, bool) or not isinstance(entry.value, int) or entry.value < 1:
        raise ExportError(f"{where}: line {entry.line}: format: is {entry.shown}; {_START}")
    if entry.value > FORMAT:
        raise ExportError(
            f"{where}: line {entry.line}: format: written by a newer nas-attn (format {entry.value}, known: up to "
            f"{FORMAT}); pip install --upgrade nas-attn"
        )
