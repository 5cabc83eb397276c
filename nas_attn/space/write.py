"""Write a search space as plain data and as a file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from nas_attn.document import FileKind
from nas_attn.errors import SpaceError
from nas_attn.models.described_network import DescribedNetwork
from nas_attn.models.kind import START
from nas_attn.models.placement import AttentionSpec

if TYPE_CHECKING:
    from nas_attn.space.ceiling import Ceiling, Limits
    from nas_attn.space.space import SearchSpace

VERSION = 1
SPACE_FILE = FileKind("a search space", f"version: {VERSION}", SpaceError)


def write_space(space: SearchSpace, path: Path) -> None:
    """Write a space so that ``read_space`` returns an equal one."""
    path.write_text(space_text(space), encoding="utf-8")


def space_text(space: SearchSpace) -> str:
    """The complete YAML of a space, without values that depend on defaults or on a device's preset."""
    return yaml.safe_dump(
        space_dict(space), sort_keys=False, allow_unicode=True, width=110, default_flow_style=None
    )


def space_dict(space: SearchSpace) -> dict[str, Any]:
    """The space as the fields of its file."""
    start = _common_start(space)
    return {
        "version": VERSION,
        "name": space.name,
        "description": space.description,
        "network": _network(space),
        "start": start,
        "choices": _choices(space, start),
        "limits": _limits(space.limits),
        **({"ladder": list(space.ladder)} if space.ladder else {}),
    }


def _network(space: SearchSpace) -> dict[str, Any]:
    network = space.network
    square = space.height == space.width
    size = {"image_size": space.height if square else [space.height, space.width]}
    if isinstance(network, DescribedNetwork):
        return network.to_dict() | size
    return {
        "family": "unet",
        "depth": network.depth,
        "norm": network.norm,
        "upsampling": network.upsampling,
        "base_channels": network.base_channels,
        "in_channels": network.in_channels,
        "classes": network.classes,
        **({"frames": network.frames} if network.frames > 1 else {}),
        **size,
    }


def _choices(space: SearchSpace, start: str) -> dict[str, list[Any]]:
    """Each location's specs, and those that the position limit removes again on reading."""
    written = {}
    for location, specs in space.choices:
        dropped = tuple(gone.spec for gone in space.dropped if gone.location == location)
        written[str(location)] = [_choice(spec, start, _startable(space)) for spec in specs + dropped]
    return written


def _choice(spec: AttentionSpec, start: str, startable: set[str]) -> str | dict[str, Any]:
    options: dict[str, Any] = dict(spec.options)
    if spec.kind in startable and options.setdefault(START.name, START.default) == start:
        del options[START.name]
    return {"kind": spec.kind, **options} if options else spec.kind


def _limits(limits: Limits) -> dict[str, Any]:
    ceilings = {"max_macs": limits.max_macs, "max_parameters": limits.max_parameters}
    written = {name: _ceiling(ceiling) for name, ceiling in ceilings.items() if ceiling is not None}
    return {"max_positions": limits.max_positions, **written}


def _ceiling(ceiling: Ceiling) -> str | float:
    return str(ceiling) if ceiling.kind == "relative" else ceiling.value


def _common_start(space: SearchSpace) -> str:
    """The start that all attention shares, if there is one, so that another one can still be chosen on reading."""
    specs = [spec for _, specs in space.choices for spec in specs] + [gone.spec for gone in space.dropped]
    starts = {
        dict(spec.options).get(START.name, START.default) for spec in specs if spec.kind in _startable(space)
    }
    return str(starts.pop()) if len(starts) == 1 else str(START.default)


def _startable(space: SearchSpace) -> set[str]:
    """The kinds for which ``start`` makes a difference."""
    return {kind.name for kind in space.kinds if START in kind.all_options and not kind.starts_as_identity}
