"""The fields of a search space file, as they are written."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from itertools import pairwise
from typing import Annotated, Any

from nas_attn.document import Read, one_of, shown
from nas_attn.models.described_network import WrittenDescription
from nas_attn.models.families import family_names
from nas_attn.models.kind import START
from nas_attn.models.network import Classes, Count, Depth, Norm, UNetConfig, Upsampling
from nas_attn.space.ceiling import Limits
from nas_attn.space.space import NAME

UNET = "unet"
"""The family of nas-attn's own network; all others are networks of others."""
DEFAULT_IMAGE_SIZE = 128
AUTO_DEPTH = "auto"
"""Instead of a depth: as the data suggest."""
MAX_SIZE = 65536


def _family(value: object) -> object:
    if value != UNET:
        raise ValueError(f"unknown family {shown(value)}; known: {', '.join((UNET, *family_names()))}")
    return value


def _sides(value: object) -> tuple[int, int]:
    sizes: list[Any] = value if isinstance(value, list) else [value]
    if not 1 <= len(sizes) <= 2 or not all(type(size) is int and 1 <= size <= MAX_SIZE for size in sizes):
        raise ValueError(f"must be {_SIDES}, not {shown(value)}")
    return sizes[0], sizes[-1]


def _named(value: object) -> str:
    if isinstance(value, str) and NAME.fullmatch(value):
        return value
    raise ValueError(f"{shown(value)} is not a name; use letters, digits, '_' and '-', at most 80")


def _ladder(value: object) -> tuple[int, ...]:
    steps = value if isinstance(value, list) else []
    are_whole = len(steps) >= 2 and all(type(one) is int for one in steps)
    if not are_whole or any(one >= other for one, other in pairwise([0, *steps])):
        raise ValueError(f"{shown(value)} must be {_RUNGS}")
    return tuple(steps)


_SIDES = f"a whole number from 1 to {MAX_SIZE}, or [H, W] of such"
_RUNGS = "two or more growing numbers of steps, such as [60, 180, 540]"


@dataclass(frozen=True)
class WrittenNetwork:
    """The network of a file, and the H and W of the images for which its sites are computed."""

    family: Annotated[str, Read(_family, UNET)]
    depth: Depth
    in_channels: Count = 3
    classes: Classes = 2
    base_channels: Count = 16
    norm: Norm = "batch"
    upsampling: Upsampling = "transpose"
    frames: Count = 1
    image_size: Annotated[tuple[int, int], Read(_sides, _SIDES)] = (DEFAULT_IMAGE_SIZE, DEFAULT_IMAGE_SIZE)

    @property
    def unet(self) -> UNetConfig:
        """The network alone."""
        return UNetConfig(**{one.name: getattr(self, one.name) for one in fields(UNetConfig)})


@dataclass(frozen=True)
class WrittenOtherNetwork(WrittenDescription):
    """A network of others in a file, and the H and W of the images for which its sites are computed."""

    image_size: Annotated[tuple[int, int], Read(_sides, _SIDES)] = (DEFAULT_IMAGE_SIZE, DEFAULT_IMAGE_SIZE)


@dataclass(frozen=True)
class WrittenSpace:
    """All fields of a file except its version; ``choices`` and ``options`` are read separately, because they
    depend on the kinds."""

    name: Annotated[str, Read(_named, "a name")]
    network: WrittenNetwork
    choices: Any
    description: str = ""
    start: Annotated[str, one_of(*map(str, START.choices))] = str(START.default)
    options: Any = None
    limits: Limits = field(default_factory=Limits)
    ladder: Annotated[tuple[int, ...], Read(_ladder, _RUNGS)] = ()


@dataclass(frozen=True)
class WrittenOtherSpace(WrittenSpace):
    """The fields of a file with a network of others."""

    network: WrittenOtherNetwork  # type: ignore[assignment]  # another family, other fields
