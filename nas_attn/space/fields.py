"""The parts of a search space file that are not its choices, checked field by field."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, fields
from itertools import pairwise

from nas_attn.document import Entry, Problems, shown
from nas_attn.errors import NetworkError, SpaceError, did_you_mean
from nas_attn.kind import START
from nas_attn.network import UNetConfig, network_problems
from nas_attn.space.ceiling import DEFAULT_MAX_POSITIONS, Ceiling, Limits
from nas_attn.space.space import NAME

DEFAULT_IMAGE_SIZE = 128
MAX_SIZE = 65536

_UNET_FIELDS = tuple(field.name for field in fields(UNetConfig))
_NETWORK_FIELDS = ("family", *_UNET_FIELDS, "image_size")


@dataclass(frozen=True)
class Overrides:
    """What the caller of ``read_space`` decides in place of the file; None leaves it to the file."""

    in_channels: int | None = None
    classes: int | None = None
    base_channels: int | None = None
    image_size: int | None = None
    start: str | None = None
    frames: int | None = None


@dataclass(frozen=True)
class SizedNetwork:
    """A network and the size of the images for which its sites are computed."""

    network: UNetConfig
    height: int
    width: int


def known_fields(
    entry: Entry, known: Collection[str], required: Collection[str], problems: Problems
) -> Mapping[str, Entry]:
    """The fields of a mapping; those that are unknown or missing become problems."""
    if not isinstance(entry.value, dict):
        problems.add(entry, f"must be a mapping of {', '.join(known)}, not {entry.shown}")
        return {}
    for name, field in entry.value.items():
        if name not in known:
            problems.add(field, f"unknown field; {did_you_mean(name, known)}")
    for name in required:
        if name not in entry.value:
            problems.add(entry, f"the field '{name}' is missing")
    return entry.value


def read_name(entry: Entry | None, problems: Problems) -> str:
    """The name of the space."""
    if entry is None:
        return ""
    if not isinstance(entry.value, str) or not NAME.fullmatch(entry.value):
        problems.add(entry, f"{entry.shown} is no name; use letters, digits, '_' and '-', at most 80")
    return str(entry.value)


def read_description(entry: Entry | None, problems: Problems) -> str:
    """The description on one line; empty where there is none."""
    if entry is None:
        return ""
    if not isinstance(entry.value, str):
        problems.add(entry, f"must be text, not {entry.shown}")
    return " ".join(str(entry.value).split())


def read_start(entry: Entry | None, override: str | None, problems: Problems) -> str:
    """The start of every kind that is not told otherwise; the paper's where what is said cannot be used."""
    before = len(problems)
    if entry is not None and (problem := START.problem(entry.value if entry.is_scalar else entry.shown)):
        problems.add(entry, problem)
    if override is not None and (problem := START.problem(override)):
        problems.add_at(0, f"argument {problem}")
    if len(problems) > before or (entry is None and override is None):
        return str(START.default)
    return override or str(entry.value if entry else "")


def read_ladder(entry: Entry | None, problems: Problems) -> tuple[int, ...]:
    """Steps of short, longer and full trials; none where they are not given or cannot be used."""
    if entry is None:
        return ()
    steps = [item.value for item in entry.value] if isinstance(entry.value, tuple) else []
    whole = [value for value in steps if isinstance(value, int) and not isinstance(value, bool)]
    grows = all(one < other for one, other in pairwise([0, *whole]))
    if len(steps) < 2 or len(whole) < len(steps) or not grows:
        problems.add(entry, f"{entry.shown} must be two or more growing numbers of steps, such as [60, 180, 540]")
        return ()
    return tuple(whole)


def read_network(entry: Entry | None, overrides: Overrides, problems: Problems) -> SizedNetwork | None:
    """The network, or None where it is not given or cannot be built; then there are problems."""
    if entry is None:
        return None
    before = len(problems)
    written = known_fields(entry, _NETWORK_FIELDS, ("family", "depth"), problems)
    _check_family(written.get("family"), problems)
    values: dict[str, object] = {"in_channels": 3, "classes": 2}
    for name in _UNET_FIELDS:
        override = getattr(overrides, name, None)
        if name in written:
            values[name] = _checked(name, written[name], problems)
        if override is not None:
            values[name] = _checked_argument(name, override, problems)
    height, width = _image_size(written.get("image_size"), overrides.image_size, problems)
    if len(problems) > before:
        return None
    network = UNetConfig(**values)  # type: ignore[arg-type]  # network_problems has judged every value
    try:
        network.sites(height, width)
    except NetworkError as error:
        problems.add(written.get("image_size", entry), str(error))
        return None
    return SizedNetwork(network, height, width)


def read_limits(entry: Entry | None, problems: Problems) -> Limits:
    """The limits; positions have one even where the file says nothing."""
    if entry is None:
        return Limits()
    written = known_fields(entry, tuple(field.name for field in fields(Limits)), (), problems)
    max_positions = DEFAULT_MAX_POSITIONS
    if positions := written.get("max_positions"):
        if isinstance(positions.value, int) and not isinstance(positions.value, bool) and positions.value >= 1:
            max_positions = positions.value
        else:
            problems.add(positions, f"{positions.shown} must be a whole number of at least 1, such as 4096")
    return Limits(
        max_positions,
        _ceiling(written.get("max_macs"), problems),
        _ceiling(written.get("max_parameters"), problems),
    )


def _ceiling(entry: Entry | None, problems: Problems) -> Ceiling | None:
    if entry is None:
        return None
    try:
        return Ceiling.parse(entry.value if entry.is_scalar else entry.shown)
    except SpaceError as error:
        problems.add(entry, str(error))
        return None


def _check_family(entry: Entry | None, problems: Problems) -> None:
    if entry is not None and entry.value != "unet":
        problems.add(entry, f"unknown family {entry.shown}; known: unet")


def _checked(name: str, entry: Entry, problems: Problems) -> object:
    value = entry.value if entry.is_scalar else entry.shown
    for problem in network_problems({name: value}) or _size_problems(name, value):
        problems.add(entry, problem)
    return value


def _checked_argument(name: str, value: object, problems: Problems) -> object:
    for problem in network_problems({name: value}) or _size_problems(name, value):
        problems.add_at(0, f"argument {problem}")
    return value


def _size_problems(name: str, value: object) -> list[str]:
    too_large = isinstance(value, int) and value > MAX_SIZE
    return [f"{name} is {shown(value)}; it must be at most {MAX_SIZE}"] if too_large else []


def _image_size(entry: Entry | None, override: int | None, problems: Problems) -> tuple[int, int]:
    """H and W; a file gives one number for both, or [H, W]."""
    sizes: tuple[object, ...] = (DEFAULT_IMAGE_SIZE,)
    if entry is not None:
        sizes = tuple(item.value for item in entry.value) if isinstance(entry.value, tuple) else (entry.value,)
        if not 1 <= len(sizes) <= 2 or not all(_is_size(size) for size in sizes):
            problems.add(entry, f"{_IMAGE_SIZE_MEND}, not {entry.shown}")
    if override is not None:
        sizes = (override,)
        if not _is_size(override):
            problems.add_at(0, f"argument image_size {_IMAGE_SIZE_MEND}, not {shown(override)}")
    if not all(_is_size(size) for size in sizes) or not sizes:
        return DEFAULT_IMAGE_SIZE, DEFAULT_IMAGE_SIZE
    return int(str(sizes[0])), int(str(sizes[-1]))


_IMAGE_SIZE_MEND = f"must be a whole number from 1 to {MAX_SIZE}, or [H, W] of such"


def _is_size(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= MAX_SIZE
