"""A search space file to a search space, or to all that is wrong with it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from nas_attn.errors import SpaceError
from nas_attn.kind import AttentionKind
from nas_attn.placement import AttentionSpec, Location
from nas_attn.space.ceiling import Limits
from nas_attn.space.choices import WrittenChoices, read_choices, read_options
from nas_attn.space.document import parse_document
from nas_attn.space.entry import Entry, Problems
from nas_attn.space.fields import (
    Overrides,
    SizedNetwork,
    known_fields,
    read_description,
    read_ladder,
    read_limits,
    read_name,
    read_network,
    read_start,
)
from nas_attn.space.find import find_space
from nas_attn.space.rules import clip_problem, position_problem
from nas_attn.space.source import read_text, shown_path
from nas_attn.space.space import Choices, Dropped, SearchSpace
from nas_attn.space.write import VERSION

_FIELDS = ("version", "name", "description", "network", "start", "options", "choices", "limits", "ladder")
_REQUIRED = ("version", "name", "network", "choices")


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
    overrides = Overrides(in_channels, classes, base_channels, image_size, start, frames)
    return space_from_text(read_text(path), kinds, where=shown_path(path), overrides=overrides)


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
    text: str, kinds: Mapping[str, AttentionKind], *, where: str, overrides: Overrides | None = None
) -> SearchSpace:
    """The search space that a YAML text describes.

    Args:
        where: what errors call the source of the text.
    Raises:
        SpaceError: the text is wrong; every problem with its line and field.
    """
    problems = Problems(where)
    document = parse_document(text, where, problems)
    _check_version(document, problems)
    fields = known_fields(document, _FIELDS, _REQUIRED, problems)
    return _space(fields, kinds, overrides or Overrides(), problems)


def _check_version(document: Entry, problems: Problems) -> None:
    """Another version's fields would be judged wrongly, so nothing else is judged then."""
    version = document.value.get("version") if isinstance(document.value, dict) else None
    if version is not None and (isinstance(version.value, bool) or version.value != VERSION):
        problems.add(version, f"{version.shown} is no version that this nas-attn reads; write {VERSION}")
        problems.raise_if_any()


def _space(
    fields: Mapping[str, Entry], kinds: Mapping[str, AttentionKind], overrides: Overrides, problems: Problems
) -> SearchSpace:
    name = read_name(fields.get("name"), problems)
    description = read_description(fields.get("description"), problems)
    sized = read_network(fields.get("network"), overrides, problems)
    limits = read_limits(fields.get("limits"), problems)
    ladder = read_ladder(fields.get("ladder"), problems)
    start = read_start(fields.get("start"), overrides.start, problems)
    options = read_options(fields.get("options"), start, kinds, problems)
    depth = sized.network.depth if sized else None
    written = read_choices(fields.get("choices"), depth, options, kinds, problems)
    problems.raise_if_any()
    if sized is None:
        raise AssertionError("a network that cannot be read is a problem")
    _check_clips(written, sized, kinds, problems)
    problems.raise_if_any()
    choices, dropped = _within_limits(written, sized, limits, kinds, problems)
    problems.raise_if_any()
    named = {spec.kind for one in written.by_name.values() for spec in one.specs}
    every_kind = tuple(kinds[kind] for kind in sorted({*kinds, *named}))
    return SearchSpace(
        name,
        description,
        sized.network,
        sized.height,
        sized.width,
        choices,
        limits,
        every_kind,
        dropped,
        ladder,
    )


def _check_clips(
    written: WrittenChoices, sized: SizedNetwork, kinds: Mapping[str, AttentionKind], problems: Problems
) -> None:
    """One line for all kinds that have no clip to look at."""
    specs = [spec for one in written.by_name.values() for spec in one.specs]
    if problem := clip_problem([kinds[spec.kind] for spec in specs], sized.network.frames):
        problems.add(written.document, problem)


def _within_limits(
    written: WrittenChoices,
    sized: SizedNetwork,
    limits: Limits,
    kinds: Mapping[str, AttentionKind],
    problems: Problems,
) -> tuple[Choices, tuple[Dropped, ...]]:
    """What the position limit leaves at each location, and what it removes."""
    choices: list[tuple[Location, tuple[AttentionSpec, ...]]] = []
    dropped: list[Dropped] = []
    for site in sized.network.sites(sized.height, sized.width):
        found = written.at(site.location)
        reasons = {spec: position_problem(kinds[spec.kind], site, limits.max_positions) for spec in found.specs}
        kept = tuple(spec for spec, reason in reasons.items() if reason is None)
        dropped += [Dropped(site.location, spec) for spec in found.specs if spec not in kept]
        choices.append((site.location, kept))
        if not kept:
            problems.add(found.entry, f"nothing is left at {site.location}: {next(iter(reasons.values()))}")
    return tuple(choices), tuple(dropped)
