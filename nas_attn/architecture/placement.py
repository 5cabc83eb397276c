"""The placement of an architecture file."""

from __future__ import annotations

from collections.abc import Mapping

from nas_attn.document import Entry, Problems
from nas_attn.errors import RegistryError, SpaceError, did_you_mean
from nas_attn.models.described_network import DescribedNetwork, Network
from nas_attn.models.kind import AttentionKind
from nas_attn.models.placement import NONE, AttentionSpec, Location, Placement, Site
from nas_attn.space.rules import canonical_spec, clip_problem, site_problem, stage_problem


def read_placement(
    root: Entry, network: Network | None, problems: Problems, kinds: Mapping[str, AttentionKind]
) -> Placement | None:
    """The field ``placement``: one attention for every location of the network.

    Args:
        root: the whole file.
        network: None where it could not be read; then the locations are not judged.
        problems: where to report.
        kinds: the attention kinds by name.
    Returns:
        None where the field is missing or no mapping; what is wrong within it has been reported.
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
    """The sites of a network that is not nas-attn's own, where a kind may lack what it needs."""
    if not isinstance(network, DescribedNetwork):
        return {}
    return {site.location: site for site in network.sites(network.least_size, network.least_size)}


def _location(name: str, field: Entry, known: Mapping[str, Location], problems: Problems) -> Location | None:
    """A location that the network does not have; without a network, any location."""
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
    """``{kind: se, reduction: 8}``, or in short ``se(reduction=8)``; ``none`` after reporting a problem."""
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
        problems.add(field, "field 'kind' is missing or no word; write such as {kind: se}")
        return None, {}
    try:
        spec = AttentionSpec.parse(field.value if isinstance(field.value, str) else "")
    except SpaceError:
        problems.add(field, f"is {field.shown}; write an attention such as {{kind: se, reduction: 8}}")
        return None, {}
    return spec.kind, dict(spec.options)
