"""Locations of a U-Net, and placements of attention at them."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property, lru_cache, total_ordering

from nas_attn.errors import SpaceError, did_you_mean

OptionValue = int | float | bool | str


class Stage(StrEnum):
    """A part of the U-Net, in the order in which a placement lists them."""

    ENCODER = "encoder"
    BOTTLENECK = "bottleneck"
    SKIP = "skip"
    DECODER = "decoder"


_STAGE_ORDER = {stage: order for order, stage in enumerate(Stage)}


@total_ordering
@dataclass(frozen=True)
class Location:
    """A location in a U-Net, such as ``skip.2``.

    Args:
        stage: the part of the network.
        level: 0 at full resolution, plus one at each halving; the bottleneck has level 0 of its own stage, since
            there is only one.
    """

    stage: Stage
    level: int = 0

    @classmethod
    def parse(cls, text: str) -> Location:
        """Read ``encoder.0``, ``bottleneck``, ``skip.1`` or ``decoder.3``.

        Raises:
            SpaceError: the text is not a location.
        """
        stage, dot, level = text.partition(".")
        stages = [str(known) for known in Stage]
        if stage not in stages:
            raise SpaceError(f"unknown location '{text}'; {did_you_mean(stage, stages)}")
        if (stage == Stage.BOTTLENECK) == bool(dot) or (dot and not level.isdecimal()):
            raise SpaceError(f"unknown location '{text}'; write encoder.0, bottleneck, skip.0 or decoder.0")
        return cls(Stage(stage), int(level or 0))

    def __str__(self) -> str:
        return str(self.stage) if self.stage is Stage.BOTTLENECK else f"{self.stage}.{self.level}"

    def __lt__(self, other: Location) -> bool:
        return (_STAGE_ORDER[self.stage], self.level) < (_STAGE_ORDER[other.stage], other.level)


@dataclass(frozen=True)
class Convolution:
    """The 3x3 convolution of a location's block, of C to C channels, which a module can replace.

    Args:
        bias: whether it has a bias, which is then left out too.
    """

    bias: bool = False


@dataclass(frozen=True)
class Site:
    """A location with its sizes in a network, for an image size.

    Args:
        location: the location.
        channels: C of the feature map there.
        height: H of the feature map there, in pixels.
        width: W of the feature map there, in pixels.
        gate_channels: channels of the gating signal, the decoder feature that enters the level; None if there is
            none (encoder, bottleneck).
        block_channels: channels of the input of the location's block; None if there is no block, as at a skip.
        frames: T of the clips; 1 for still images.
        up_channels: channels of the decoder feature that enters the level, after its up-convolution to the site's
            size; None if the network has no such feature.
        gate_size: H and W of the gating signal; None means half of the location's.
        convolution: of the location's block; None if a network of others has none of that shape.
    """

    location: Location
    channels: int
    height: int
    width: int
    gate_channels: int | None = None
    block_channels: int | None = None
    frames: int = 1
    up_channels: int | None = None
    gate_size: tuple[int, int] | None = None
    convolution: Convolution | None = Convolution()

    @property
    def positions(self) -> int:
        """H * W."""
        return self.height * self.width

    @property
    def gate_shape(self) -> tuple[int, int, int] | None:
        """C, H and W of the gating signal; None if there is none."""
        if self.gate_channels is None:
            return None
        return self.gate_channels, *(self.gate_size or (self.height // 2, self.width // 2))


@dataclass(frozen=True)
class AttentionSpec:
    """A kind of attention with the options that differ from the kind's defaults.

    Args:
        kind: registered name, or ``module:name`` of a user's own; ``none`` is a kind.
        options: (name, value) pairs, sorted by name.
    Raises:
        SpaceError: an option is named more than once.
    """

    kind: str
    options: tuple[tuple[str, OptionValue], ...] = ()

    _TEXT = re.compile(r"(?P<kind>[a-z][a-z0-9_]*|[\w.]+:\w+)(?:\((?P<options>.*)\))?")

    def __post_init__(self) -> None:
        names = [name for name, _ in self.options]
        if repeated := sorted({name for name in names if names.count(name) > 1}):
            raise SpaceError(f"{self.kind} is given {', '.join(repeated)} more than once")
        object.__setattr__(self, "options", tuple(sorted(self.options)))

    @classmethod
    def parse(cls, text: str) -> AttentionSpec:
        """The inverse of ``str``: read ``se`` or ``se(reduction=8)``.

        Raises:
            SpaceError: the text has not this form.
        """
        match = cls._TEXT.fullmatch(text.strip())
        if match is None:
            raise SpaceError(f"'{text}' is not an attention; write a kind such as se, or se(reduction=8)")
        options = []
        for pair in filter(None, (match["options"] or "").split(",")):
            name, equals, value = (part.strip() for part in pair.partition("="))
            if not equals or not name:
                raise SpaceError(f"'{text}': '{pair.strip()}' is not an option; write name=value")
            options.append((name, _option_value(value)))
        return cls(match["kind"], tuple(options))

    def __str__(self) -> str:
        if not self.options:
            return self.kind
        return f"{self.kind}({', '.join(f'{name}={_option_text(value)}' for name, value in self.options)})"


NONE = AttentionSpec("none")


@dataclass(frozen=True)
class Placement:
    """One attention for every location of a network; equal when all of them are equal.

    Args:
        specs: (location, attention) pairs; stored in the order of the locations.
    Raises:
        SpaceError: a location is named more than once.
    """

    specs: tuple[tuple[Location, AttentionSpec], ...]

    def __post_init__(self) -> None:
        places = [(_STAGE_ORDER[location.stage], location.level) for location, _ in self.specs]
        if places == sorted(set(places)):
            return
        object.__setattr__(self, "specs", tuple(sorted(self.specs, key=lambda pair: pair[0])))
        locations = [location for location, _ in self.specs]
        repeated = sorted({str(location) for location in locations if locations.count(location) > 1})
        if repeated:
            raise SpaceError(f"a placement names {', '.join(repeated)} more than once")

    @classmethod
    def of(cls, specs: Mapping[Location, AttentionSpec]) -> Placement:
        """The placement that a mapping describes."""
        return cls(tuple(specs.items()))

    @classmethod
    def from_dict(cls, texts: Mapping[str, str]) -> Placement:
        """The inverse of ``to_dict``.

        Raises:
            SpaceError: a location or an attention cannot be read.
        """
        return cls(tuple((_location(place), _spec(spec)) for place, spec in texts.items()))

    def to_dict(self) -> dict[str, str]:
        """Location to attention, as text, in the order of the locations."""
        return {str(location): str(spec) for location, spec in self.specs}

    @property
    def id(self) -> str:
        """Ten hexadecimal digits that depend only on the placement."""
        return hashlib.sha256(str(self).encode()).hexdigest()[:10]

    @cached_property
    def attended(self) -> tuple[tuple[Location, AttentionSpec], ...]:
        """The pairs whose attention is not ``none``."""
        return tuple(pair for pair in self.specs if pair[1] != NONE)

    @property
    def plain(self) -> Placement:
        """The same locations without attention."""
        return Placement(tuple((location, NONE) for location, _ in self))

    def replace(self, location: Location, spec: AttentionSpec) -> Placement:
        """The same placement with another attention at one location.

        Raises:
            SpaceError: the placement has no such location.
        """
        self[location]
        return Placement(tuple((place, spec if place == location else old) for place, old in self.specs))

    def __getitem__(self, location: Location) -> AttentionSpec:
        for place, spec in self.specs:
            if place == location:
                return spec
        raise SpaceError(f"the placement has no location {location}; it has {', '.join(self.to_dict())}")

    def __iter__(self) -> Iterator[tuple[Location, AttentionSpec]]:
        return iter(self.specs)

    def __str__(self) -> str:
        return self._text

    def __hash__(self) -> int:
        # A search looks placements up by the thousand; hashing 13 pairs of values takes a hundred times as long.
        return hash(self._text)

    @cached_property
    def _text(self) -> str:
        return " ".join(f"{location}={spec}" for location, spec in self.specs)


def location_problems(locations: tuple[Location, ...], placement: Placement) -> list[str]:
    """How a placement does not fit the locations of a network: missing locations, then unknown ones."""
    named = [location for location, _ in placement]
    known = [str(location) for location in locations]
    missing = [
        f"{location}: missing from the placement; write none for no attention"
        for location in locations
        if location not in named
    ]
    foreign = [
        f"{location}: the network has no such location; {did_you_mean(str(location), known)}"
        for location in named
        if location not in locations
    ]
    return missing + foreign


@lru_cache(maxsize=4096)
def _location(text: str) -> Location:
    return Location.parse(text)


@lru_cache(maxsize=4096)
def _spec(text: str) -> AttentionSpec:
    return AttentionSpec.parse(text)


def _option_text(value: OptionValue) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    # 1 and 1.0 are equal, so they must read the same: the id of a placement is made of its text.
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _option_value(text: str) -> OptionValue:
    if text in ("true", "false"):
        return text == "true"
    for number in (int, float):
        try:
            return number(text)
        except ValueError:
            continue
    return text
