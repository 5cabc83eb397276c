"""The shape of a U-Net as a value: its locations and the sizes of its features."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

from annotated_types import Ge, Le

from nas_attn.document import field_problems, one_of
from nas_attn.errors import NetworkError
from nas_attn.models.placement import NONE, Location, Placement, Site, Stage

NORMS = ("batch", "group", "instance")
UPSAMPLINGS = ("transpose", "bilinear")
MIN_DEPTH, MAX_DEPTH = 2, 5
Count = Annotated[int, Ge(1), Le(65536)]
Classes = Annotated[int, Ge(2), Le(65536)]
Depth = Annotated[int, Ge(MIN_DEPTH), Le(MAX_DEPTH)]
Norm = Annotated[str, one_of(*NORMS)]
Upsampling = Annotated[str, one_of(*UPSAMPLINGS)]


@dataclass(frozen=True)
class UNetConfig:
    """A U-Net without its attention (Ronneberger et al. 2015, arXiv:1505.04597).

    Args:
        in_channels: channels of an image.
        classes: K, the number of classes, background included.
        depth: number of halvings, 2 to 5; the network has 3 * depth + 1 locations.
        base_channels: C at full resolution; doubled at each halving.
        norm: ``batch``, ``group`` or ``instance``.
        upsampling: ``transpose`` (2x2 transposed convolution) or ``bilinear`` (then a 1x1 convolution).
        frames: T, the number of consecutive frames of a clip that go through together; 1 for still images.
    Raises:
        NetworkError: a value is out of range; all such values are reported together.
    """

    in_channels: Count
    classes: Classes
    depth: Depth = 4
    base_channels: Count = 16
    norm: Norm = "batch"
    upsampling: Upsampling = "transpose"
    frames: Count = field(default=1, repr=False)  # ids are made of the text, and older than clips

    def __post_init__(self) -> None:
        if found := field_problems(UNetConfig, vars(self)):
            raise NetworkError([f"{name}: {problem}" for name, problem in found])

    @property
    def locations(self) -> tuple[Location, ...]:
        """All locations of the network, in order."""
        levels = range(self.depth)
        return (
            *(Location(Stage.ENCODER, level) for level in levels),
            Location(Stage.BOTTLENECK),
            *(Location(Stage.SKIP, level) for level in levels),
            *(Location(Stage.DECODER, level) for level in levels),
        )

    @property
    def plain(self) -> Placement:
        """``none`` at every location."""
        return Placement(tuple((location, NONE) for location in self.locations))

    @property
    def min_image_size(self) -> int:
        """The smallest H or W that survives all halvings."""
        return int(2**self.depth)

    @property
    def input_name(self) -> str:
        """Name of its input in one forward pass, for which costs are counted: ``image`` or ``clip of 4
        frames``."""
        return "image" if self.frames == 1 else f"clip of {self.frames} frames"

    @property
    def title(self) -> str:
        """Its name, in a few words."""
        return f"a U-Net of depth {self.depth}"

    @property
    def headline(self) -> str:
        """A short description."""
        norm = f"{self.norm} norm, {self.upsampling} upsampling"
        return f"U-Net of depth {self.depth}, {self.base_channels} base channels, {norm}"

    @property
    def size_text(self) -> str:
        """What its speed depends on, in words."""
        return f"{self.base_channels} base channels"

    def level_of(self, location: Location) -> int:
        """Number of halvings of the image down to a location."""
        return self.depth if location.stage is Stage.BOTTLENECK else location.level

    def channels_at(self, location: Location) -> int:
        """C at a location."""
        return self.channels(self.level_of(location))

    def channels(self, level: int) -> int:
        """C at a level; ``depth`` is the level of the bottleneck."""
        return int(self.base_channels * 2**level)

    def sites(self, height: int, width: int) -> tuple[Site, ...]:
        """Every location with its sizes for an image of H x W pixels.

        Raises:
            NetworkError: the image is too small for the depth.
        """
        if min(height, width) < self.min_image_size:
            raise NetworkError(
                f"an image of {height}x{width} pixels is too small for a depth of {self.depth}; "
                f"both sides must be at least {self.min_image_size}"
            )
        return tuple(self._site(location, height, width) for location in self.locations)

    def _site(self, location: Location, height: int, width: int) -> Site:
        level = self.level_of(location)
        gated = location.stage in (Stage.SKIP, Stage.DECODER)
        return Site(
            location,
            channels=self.channels(level),
            height=height // 2**level,
            width=width // 2**level,
            gate_channels=self.channels(level + 1) if gated else None,
            block_channels=self._block_channels(location.stage, level),
            frames=self.frames,
            up_channels=self.channels(level) if gated else None,
        )

    def _block_channels(self, stage: Stage, level: int) -> int | None:
        if stage is Stage.SKIP:
            return None
        if stage is Stage.DECODER:
            return 2 * self.channels(level)
        return self.channels(level - 1) if level else self.in_channels
