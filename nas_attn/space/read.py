"""Read a search space from a file, or report everything that is wrong with it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import yaml

from nas_attn.document import (
    Entry,
    Problems,
    hints_of,
    known_version,
    parse_document,
    problem_of,
    read_model,
    read_text,
    shown_path,
)
from nas_attn.errors import NetworkError, SpaceError, did_you_mean
from nas_attn.models.described_network import DescribedNetwork, Network
from nas_attn.models.families import family_names
from nas_attn.models.kind import START, AttentionKind, part_problem
from nas_attn.models.network import Depth, UNetConfig
from nas_attn.models.placement import AttentionSpec, Location, Site, Stage
from nas_attn.space.ceiling import Limits
from nas_attn.space.choices import WrittenChoices, read_choices, read_options
from nas_attn.space.fields import AUTO_DEPTH, WrittenNetwork, WrittenOtherNetwork, WrittenOtherSpace, WrittenSpace
from nas_attn.space.find import find_space
from nas_attn.space.rules import clip_problem, position_problem, replacing_problem, site_problem
from nas_attn.space.space import Choices, Dropped, SearchSpace
from nas_attn.space.write import SPACE_FILE, VERSION


def read_space(
    source: str | Path,
    kinds: Mapping[str, AttentionKind],
    *,
    in_channels: int | None = None,
    classes: int | None = None,
    base_channels: int | None = None,
    image_size: int | None = None,
    start: str | None = None,
    frames: int | None = None,
    depth: int | None = None,
    network: DescribedNetwork | None = None,
) -> SearchSpace:
    """Read the search space of a name such as ``unet_attention``, or of a file.

    An argument that is given replaces the value of the file.

    Args:
        source: a path, or the name of a space; ``list_spaces`` lists the names.
        kinds: every kind of attention that may be named, by its name.
        in_channels: channels of an image; 3 if the file does not say.
        classes: K; 2 if the file does not say.
        base_channels: C at full resolution; 16 if the file does not say.
        image_size: H and W for which the sites are computed; 128 if the file does not say.
        start: ``paper`` or ``identity``; a choice with its own start keeps it.
        frames: T of the clips; 1, for still images, if the file does not say.
        depth: number of halvings if the file leaves it open (``depth: auto``); the default is 4.
        network: a network of others; the sizes of our U-Net then do not apply.
    Raises:
        SpaceError: there is no such file, or it has errors; each problem is given with its line and field.
    """
    path = find_space(source)
    asked = {
        "in_channels": in_channels,
        "classes": classes,
        "base_channels": base_channels,
        "image_size": image_size,
        "start": start,
        "frames": frames,
        "depth": depth,
    }
    overrides = {name: value for name, value in asked.items() if value is not None}
    text = read_text(path, SPACE_FILE)
    return space_from_text(text, kinds, where=shown_path(path), overrides=overrides, network=network)


def space_from_dict(values: Mapping[str, Any], kinds: Mapping[str, AttentionKind], *, where: str) -> SearchSpace:
    """The inverse of ``SearchSpace.to_dict``.

    Args:
        where: name of the source in error messages.
    Raises:
        SpaceError: the values have errors; each is given, with its line in the values as YAML.
    """
    try:
        apart = json.loads(json.dumps(dict(values)))  # YAML writes a list that stands twice as an alias
        text = yaml.safe_dump(apart, sort_keys=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise SpaceError(f"{where}: not plain data: {error}") from None
    return space_from_text(text, kinds, where=where)


def space_from_text(
    text: str,
    kinds: Mapping[str, AttentionKind],
    *,
    where: str,
    overrides: Mapping[str, Any] = MappingProxyType({}),
    network: DescribedNetwork | None = None,
) -> SearchSpace:
    """The search space that a YAML text describes.

    Args:
        text: the YAML.
        kinds: every kind of attention that may be named, by its name.
        where: name of the source in error messages.
        overrides: values that replace those of the text: ``start`` or fields of its network; a depth replaces only
            ``auto``.
        network: a network of others that replaces the text's.
    Raises:
        SpaceError: the text has errors; each problem is given with its line and field.
    """
    problems = Problems(where, SPACE_FILE)
    document = known_version(parse_document(text, problems), VERSION, problems)
    document, overrides = _with_depth(document, overrides)
    other = is_other(document)
    written = read_model(document, WrittenOtherSpace if other else WrittenSpace, problems)
    asked = {name: value for name, value in overrides.items() if not _is_wrong(name, value, problems)}
    start = asked.get("start", written.start if written else START.default)
    options = read_options(document.fields.get("options"), str(start), kinds, problems)
    depth = None if other or network else _depth(document)
    choices = read_choices(document.fields.get("choices"), depth, options, kinds, problems)
    if written is None or problems:
        problems.raise_if_any()
        raise AssertionError("a space that cannot be read has a problem")
    side = asked.get("image_size")
    size = (side, side) if side else written.network.image_size
    try:
        chosen = network or _network(written, asked)
        chosen.sites(*size)
    except NetworkError as error:
        entry = document.fields["network"]
        problems.add(entry.fields.get("image_size", entry), str(error))
        raise SpaceError(problems.lines) from None
    return _space(written, chosen, size, choices, kinds, problems)


def _with_depth(document: Entry, overrides: Mapping[str, Any]) -> tuple[Entry, Mapping[str, Any]]:
    """The document with a depth in place of ``auto``, and the overrides without the depth."""
    others = {name: value for name, value in overrides.items() if name != "depth"}
    network = document.fields.get("network", document)
    entry = network.fields.get("depth", document)
    if entry.value != AUTO_DEPTH:
        return document, others
    depth = Entry.of(overrides.get("depth", UNetConfig.depth), entry.path)
    network = replace(network, value={**network.fields, "depth": depth})
    return replace(document, value={**document.fields, "network": network}), others


def is_other(document: Entry) -> bool:
    """Whether a file's network belongs to a family of others."""
    family = document.fields.get("network", document).fields.get("family", document).value
    return family in family_names()


def _is_wrong(name: str, value: object, problems: Problems) -> bool:
    """Whether an override cannot be used. If so, it is reported."""
    hint = hints_of(WrittenSpace if name == "start" else WrittenNetwork)[name]
    if problem := problem_of(hint, value):
        problems.add_at(0, f"argument {name}: {problem}")
    return problem is not None


def _depth(document: Entry) -> int | None:
    """The depth as it is written, even if other fields of the network are wrong; None if the depth itself is
    wrong."""
    depth = document.fields.get("network", document).fields.get("depth", document).value
    return depth if isinstance(depth, int) and problem_of(Depth, depth) is None else None


def _network(written: WrittenSpace, overrides: Mapping[str, Any]) -> Network:
    """The network of the file, with the sizes that the caller gives."""
    theirs = written.network
    if isinstance(theirs, WrittenOtherNetwork):
        if not theirs.sites:
            raise NetworkError(f"{theirs.asked} has not been inspected; a search, or --network, does that")
        asked = {name: overrides.get(name, getattr(theirs, name)) for name in ("in_channels", "classes")}
        if asked != {name: getattr(theirs, name) for name in asked}:
            raise NetworkError(
                f"{theirs.asked} was inspected for {theirs.in_channels} channels and {theirs.classes} classes, "
                f"not for {asked['in_channels']} and {asked['classes']}"
            )
        return theirs.network
    given = {name: value for name, value in overrides.items() if name not in ("start", "image_size")}
    return replace(theirs, **given).unet


def _space(
    written: WrittenSpace,
    network: Network,
    size: tuple[int, int],
    found: WrittenChoices,
    kinds: Mapping[str, AttentionKind],
    problems: Problems,
) -> SearchSpace:
    sites = network.sites(*size)
    named = {spec.kind: None for one in found.by_name.values() for spec in one.specs}
    if problem := clip_problem([kinds[kind] for kind in named], network.frames):
        problems.add(found.document, problem)  # one line for all kinds
    _check_locations(found, network, problems)
    if isinstance(written, WrittenOtherSpace) and not written.network.sites:  # as a person writes it, not a study
        homeless = [kinds[kind] for kind in _homeless(found, sites, kinds)]
        if problem := replacing_problem(homeless, network.title):
            problems.add(found.document, problem)
    problems.raise_if_any()
    choices, dropped = _within_limits(found, sites, written.limits, kinds, problems)
    problems.raise_if_any()
    return SearchSpace(
        name=written.name,
        description=written.description,
        network=network,
        height=size[0],
        width=size[1],
        choices=choices,
        limits=written.limits,
        kinds=tuple(kinds[kind] for kind in sorted({*kinds, *named})),
        dropped=dropped,
        ladder=written.ladder,
    )


def _homeless(written: WrittenChoices, sites: Sequence[Site], kinds: Mapping[str, AttentionKind]) -> set[str]:
    """The kinds for which the network has no part at any location where they are named."""
    at_sites = [(kind, site) for site in sites for kind in {spec.kind for spec in written.at(site.location).specs}]
    standing = {kind for kind, site in at_sites if part_problem(kinds[kind], site) is None}
    return {kind for kind, _ in at_sites} - standing


def _check_locations(written: WrittenChoices, network: Network, problems: Problems) -> None:
    """Report locations that a file names and a network of others does not have."""
    known = [str(location) for location in network.locations]
    for name, one in written.by_name.items():
        if name not in (*known, *Stage) and isinstance(network, DescribedNetwork):
            problems.add(one.entry, f"no such location in {network.title}; {did_you_mean(name, known)}")


def _within_limits(
    written: WrittenChoices,
    sites: Sequence[Site],
    limits: Limits,
    kinds: Mapping[str, AttentionKind],
    problems: Problems,
) -> tuple[Choices, tuple[Dropped, ...]]:
    """The choices that the position limit and the network leave at each location, and those they remove."""
    choices: list[tuple[Location, tuple[AttentionSpec, ...]]] = []
    dropped: list[Dropped] = []
    for site in sites:
        found = written.at(site.location)
        reasons = {
            spec: site_problem(kinds[spec.kind], site)
            or position_problem(kinds[spec.kind], site, limits.max_positions)
            for spec in found.specs
        }
        kept = tuple(spec for spec, reason in reasons.items() if reason is None)
        dropped += [Dropped(site.location, spec) for spec in found.specs if spec not in kept]
        choices.append((site.location, kept))
        if not kept:
            problems.add(found.entry, f"no choice is left at {site.location}: {next(iter(reasons.values()))}")
    return tuple(choices), tuple(dropped)
