"""Read an architecture file. Nothing in it is executed, and everything in it is checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import Annotated, Any

from annotated_types import Ge

from nas_attn.architecture.architecture import FORMAT, Architecture, Found, Results, Verified, input_problems
from nas_attn.commands import command
from nas_attn.document import Entry, FileKind, Problems, parse_document, read_sound, read_text, shown_path
from nas_attn.errors import ExportError, RegistryError, SpaceError, did_you_mean
from nas_attn.losses import weight_problem
from nas_attn.models.described_network import DescribedNetwork, Network, WrittenDescription
from nas_attn.models.kind import AttentionKind
from nas_attn.models.network import UNetConfig
from nas_attn.models.placement import NONE, AttentionSpec, Location, Placement, Site
from nas_attn.space.rules import canonical_spec, clip_problem, site_problem, stage_problem

_KIND = FileKind(
    "an architecture file",
    f"format: {FORMAT}",
    ExportError,
    example="an architecture file, such as best.yaml",
    missing=f"; '{command('export', 'STUDY')} -o {{path}}' writes one",
)
_START = f"an architecture file starts with 'format: {FORMAT}'"


def read_architecture(path: str | Path, kinds: Mapping[str, AttentionKind]) -> Architecture:
    """Read a file that ``write_architecture`` wrote, possibly edited by hand.

    Args:
        path: of the file.
        kinds: the attention kinds by name.
    Raises:
        ExportError: the file cannot be read, has a newer format, or has errors; each is given with its line and
            field.
    """
    path = Path(path)
    return parse_architecture(read_text(path, _KIND), shown_path(path), kinds)


def parse_architecture(text: str, where: str, kinds: Mapping[str, AttentionKind]) -> Architecture:
    """Read the content of an architecture file.

    Args:
        text: the content.
        where: name of the file in error messages.
        kinds: the attention kinds by name.
    Raises:
        ExportError: see ``read_architecture``.
    """
    problems = Problems(where, _KIND)
    root = parse_document(text, problems)
    _check_format(root, where)
    return _architecture(root, problems, kinds)


@dataclass(frozen=True)
class _Input:
    image_size: Annotated[int, Ge(1)]
    mean: tuple[float, ...]
    std: tuple[float, ...]


@dataclass(frozen=True)
class _File:
    """The fields of the file. The placement is read separately, because it depends on the kinds."""

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
    """The fields of a file for a network of others."""

    network: WrittenDescription  # type: ignore[assignment]  # another family, other fields


def _architecture(root: Entry, problems: Problems, kinds: Mapping[str, AttentionKind]) -> Architecture:
    """Build the architecture. Raises ExportError with all problems, as ``Problems`` does."""
    other = "family" in root.fields.get("network", root).fields
    read = read_sound(root, _OtherFile if other else _File, problems)
    if not other:
        _check_complete(root, problems)
    network = _network(root, read.get("network"), problems)
    placement = _placement(root, network, problems, kinds)
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
    """The network that a file describes; None if it has errors."""
    if not isinstance(read, WrittenDescription):
        return read
    if not read.sites:
        problems.add(root.fields["network"], "the field 'sites' is missing")
        return None
    return read.network


def _check_complete(root: Entry, problems: Problems) -> None:
    """Check that all fields of the network are there; only the frames of still images may be missing."""
    network = root.fields.get("network")
    if network is None or not isinstance(network.value, dict):
        return
    for field in fields(UNetConfig):
        if field.name not in network.fields and field.default is not MISSING and field.name != "frames":
            problems.add(network, f"the field '{field.name}' is missing")


def _check_format(root: Entry, where: str) -> None:
    """Check the format first, because the meaning of a newer one is unknown."""
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


def _placement(
    root: Entry, network: Network | None, problems: Problems, kinds: Mapping[str, AttentionKind]
) -> Placement | None:
    """The field ``placement``: one attention for every location of the network.

    Args:
        root: the whole file.
        network: None if it could not be read; then the locations are not checked.
        problems: where to report.
        kinds: the attention kinds by name.
    Returns:
        None if the field is missing or not a mapping; problems within it have been reported.
    """
    entry = root.fields.get("placement")
    if entry is None or not isinstance(entry.value, dict):
        if entry is not None:
            problems.add(entry, f"must map every location to its attention, not {entry.shown}")
        return None
    known = {str(location): location for location in network.locations} if network else {}
    sites = _sites(network)
    specs: dict[Location, AttentionSpec] = {}
    for name, field in entry.value.items():
        location = known.get(name) or _location(name, field, known, problems)
        if location is not None:
            specs[location] = _attention(location, field, problems, kinds)
            kind, site = kinds.get(specs[location].kind), sites.get(location)
            if kind and site and (problem := site_problem(kind, site)):
                problems.add(field, problem)
    placed = [kinds[spec.kind] for spec in specs.values() if spec.kind in kinds]
    if network is not None and (problem := clip_problem(placed, network.frames)):
        problems.add(entry, problem)
    if missing := [name for name, location in known.items() if location not in specs]:
        problems.add(entry, f"no attention for {', '.join(missing)}; write 'kind: none' where there is none")
    return Placement.of(specs)


def _sites(network: Network | None) -> dict[Location, Site]:
    """The sites of a network of others, which may lack what a kind needs."""
    if not isinstance(network, DescribedNetwork):
        return {}
    return {site.location: site for site in network.sites(network.least_size, network.least_size)}


def _location(name: str, field: Entry, known: Mapping[str, Location], problems: Problems) -> Location | None:
    """The location of a field, which the network must have; without a network, any location."""
    if known:
        problems.add(field, f"the network has no such location; {did_you_mean(name, known)}")
        return None
    try:
        return Location.parse(name)
    except SpaceError as error:
        problems.add(field, str(error))
        return None


def _attention(
    location: Location, field: Entry, problems: Problems, kinds: Mapping[str, AttentionKind]
) -> AttentionSpec:
    """Read ``{kind: se, reduction: 8}``, or in short ``se(reduction=8)``; ``none`` after reporting a problem."""
    name, options = _kind_and_options(field, problems)
    if name is None:
        return NONE
    try:
        kind = kinds[name]
    except RegistryError as error:  # a user's module that cannot be used
        problems.add(field, str(error))
        return NONE
    except KeyError:
        problems.add(field, f"unknown attention '{name}'; {did_you_mean(name, kinds)}")
        return NONE
    found = kind.problems(options)
    if problem := stage_problem(kind, location.stage):
        found.append(problem)
    for problem in found:
        problems.add(field, problem)
    return NONE if found else canonical_spec(kind, options)  # type: ignore[arg-type]  # problems() has judged the values


def _kind_and_options(field: Entry, problems: Problems) -> tuple[str | None, dict[str, object]]:
    if isinstance(field.value, dict):
        values = {name: entry.value for name, entry in field.value.items()}
        kind = values.pop("kind", None)
        if isinstance(kind, str):
            return kind, dict(values)
        problems.add(field, "field 'kind' is missing or not a word; write for example {kind: se}")
        return None, {}
    try:
        spec = AttentionSpec.parse(field.value if isinstance(field.value, str) else "")
    except SpaceError:
        problems.add(field, f"is {field.shown}; write an attention such as {{kind: se, reduction: 8}}")
        return None, {}
    return spec.kind, dict(spec.options)
