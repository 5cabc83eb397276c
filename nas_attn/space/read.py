"""A search space file to a search space, or to all that is wrong with it."""

from __future__ import annotations

import json
from collections.abc import Mapping
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
from nas_attn.errors import NetworkError, SpaceError
from nas_attn.models.kind import START, AttentionKind
from nas_attn.models.network import Depth
from nas_attn.models.placement import AttentionSpec, Location
from nas_attn.space.ceiling import Limits
from nas_attn.space.choices import WrittenChoices, read_choices, read_options
from nas_attn.space.fields import WrittenNetwork, WrittenSpace
from nas_attn.space.find import find_space
from nas_attn.space.rules import clip_problem, position_problem
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
) -> SearchSpace:
    """The search space of a name such as ``unet_attention``, or of a file.

    Args:
        source: a path, or the name of a space; ``list_spaces`` has the names.
        kinds: every kind of attention that may be named, by its name.
        in_channels: channels of an image, in place of the file's; 3 where neither says.
        classes: K, in place of the file's; 2 where neither says.
        base_channels: C at full resolution, in place of the file's; 16 where neither says.
        image_size: H and W for which the sites are computed, in place of the file's; 128 where neither says.
        start: ``paper`` or ``identity``, in place of the file's; a choice that gives its own keeps it.
        frames: T of the clips, in place of the file's; 1, still images, where neither says.
    Raises:
        SpaceError: no such file, or it is wrong; every problem with its line and field.
    """
    path = find_space(source)
    asked = {
        "in_channels": in_channels,
        "classes": classes,
        "base_channels": base_channels,
        "image_size": image_size,
        "start": start,
        "frames": frames,
    }
    overrides = {name: value for name, value in asked.items() if value is not None}
    return space_from_text(read_text(path, SPACE_FILE), kinds, where=shown_path(path), overrides=overrides)


def space_from_dict(values: Mapping[str, Any], kinds: Mapping[str, AttentionKind], *, where: str) -> SearchSpace:
    """The inverse of ``SearchSpace.to_dict``.

    Args:
        where: what errors call the source of the values.
    Raises:
        SpaceError: the values are wrong; every problem is named, the lines are those of the values as YAML.
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
    overrides: Mapping[str, object] = MappingProxyType({}),
) -> SearchSpace:
    """The search space that a YAML text describes.

    Args:
        text: the YAML.
        kinds: every kind of attention that may be named, by its name.
        where: what errors call the source of the text.
        overrides: values in place of those of the text: ``start``, or fields of its network.
    Raises:
        SpaceError: the text is wrong; every problem with its line and field.
    """
    problems = Problems(where, SPACE_FILE)
    document = known_version(parse_document(text, problems), VERSION, problems)
    written = read_model(document, WrittenSpace, problems)
    asked = {name: value for name, value in overrides.items() if not _is_wrong(name, value, problems)}
    start = asked.get("start", written.start if written else START.default)
    options = read_options(document.fields.get("options"), str(start), kinds, problems)
    choices = read_choices(document.fields.get("choices"), _depth(document), options, kinds, problems)
    network = _network(written, asked, document, problems)
    if written is None or network is None or problems:
        problems.raise_if_any()
        raise AssertionError("a space that cannot be read has a problem")
    return _space(written, network, choices, kinds, problems)


def _is_wrong(name: str, value: object, problems: Problems) -> bool:
    """Whether an override cannot be used; then it is a problem."""
    hint = hints_of(WrittenSpace if name == "start" else WrittenNetwork)[name]
    if problem := problem_of(hint, value):
        problems.add_at(0, f"argument {name}: {problem}")
    return problem is not None


def _depth(document: Entry) -> int | None:
    """The depth as it is written, whatever else of the network is wrong; None where it is wrong itself."""
    depth = document.fields.get("network", document).fields.get("depth", document).value
    return depth if isinstance(depth, int) and problem_of(Depth, depth) is None else None


def _network(
    written: WrittenSpace | None, overrides: Mapping[str, Any], document: Entry, problems: Problems
) -> WrittenNetwork | None:
    """The network with what the caller decides; None where there are problems."""
    if written is None or problems:
        return None
    given = {name: value for name, value in overrides.items() if name != "start"}
    if "image_size" in given:
        given["image_size"] = (given["image_size"], given["image_size"])
    network = replace(written.network, **given)
    try:
        network.unet.sites(*network.image_size)
    except NetworkError as error:
        entry = document.fields["network"]
        problems.add(entry.fields.get("image_size", entry), str(error))
        return None
    return network


def _space(
    written: WrittenSpace,
    sized: WrittenNetwork,
    found: WrittenChoices,
    kinds: Mapping[str, AttentionKind],
    problems: Problems,
) -> SearchSpace:
    _check_clips(found, sized, kinds, problems)
    problems.raise_if_any()
    choices, dropped = _within_limits(found, sized, written.limits, kinds, problems)
    problems.raise_if_any()
    named = {spec.kind for one in found.by_name.values() for spec in one.specs}
    return SearchSpace(
        name=written.name,
        description=written.description,
        network=sized.unet,
        height=sized.image_size[0],
        width=sized.image_size[1],
        choices=choices,
        limits=written.limits,
        kinds=tuple(kinds[kind] for kind in sorted({*kinds, *named})),
        dropped=dropped,
        ladder=written.ladder,
    )


def _check_clips(
    written: WrittenChoices, sized: WrittenNetwork, kinds: Mapping[str, AttentionKind], problems: Problems
) -> None:
    """One line for all kinds that have no clip to look at."""
    specs = [spec for one in written.by_name.values() for spec in one.specs]
    if problem := clip_problem([kinds[spec.kind] for spec in specs], sized.frames):
        problems.add(written.document, problem)


def _within_limits(
    written: WrittenChoices,
    sized: WrittenNetwork,
    limits: Limits,
    kinds: Mapping[str, AttentionKind],
    problems: Problems,
) -> tuple[Choices, tuple[Dropped, ...]]:
    """What the position limit leaves at each location, and what it removes."""
    choices: list[tuple[Location, tuple[AttentionSpec, ...]]] = []
    dropped: list[Dropped] = []
    for site in sized.unet.sites(*sized.image_size):
        found = written.at(site.location)
        reasons = {spec: position_problem(kinds[spec.kind], site, limits.max_positions) for spec in found.specs}
        kept = tuple(spec for spec, reason in reasons.items() if reason is None)
        dropped += [Dropped(site.location, spec) for spec in found.specs if spec not in kept]
        choices.append((site.location, kept))
        if not kept:
            problems.add(found.entry, f"nothing is left at {site.location}: {next(iter(reasons.values()))}")
    return tuple(choices), tuple(dropped)
