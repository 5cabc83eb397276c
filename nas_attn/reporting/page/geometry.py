"""Where the parts of a drawn U-Net lie."""

from __future__ import annotations

from dataclasses import dataclass

from nas_attn.models.described_network import Network
from nas_attn.models.placement import Location, Stage

BLOCK_WIDTH, BLOCK_HEIGHT = 34, 26
MODULE_WIDTH, MODULE_HEIGHT = 68, 22

_MARGIN = 12
_ROW = 62
_STEP = BLOCK_WIDTH // 2 + 3 + MODULE_WIDTH // 2
"""From the middle of a block to that of its module."""
_INDENT = 6
"""So much further in does each level begin: little, so that the whole is legible on a telephone."""
_AROUND_SKIP = 14
_TOP = 38


@dataclass(frozen=True)
class Point:
    """The middle of a part, in pixels from the upper left corner."""

    x: int
    y: int


@dataclass(frozen=True)
class Geometry:
    """A narrow U: the encoder goes down on the left, the decoder up on the right, each module right of its block.

    Args:
        network: what is drawn.
    """

    network: Network

    @property
    def width(self) -> int:
        """Of the drawing, in pixels."""
        return self.module(Location(Stage.DECODER, 0)).x + MODULE_WIDTH // 2 + _MARGIN

    @property
    def height(self) -> int:
        """Of the drawing, in pixels."""
        return self.block(Location(Stage.BOTTLENECK)).y + _TOP

    def block(self, location: Location) -> Point:
        """The two convolutions that belong to a place; a skip has none of its own, and lends its module's."""
        if location.stage is Stage.SKIP:
            return self.module(location)
        module = self.module(location)
        return Point(module.x - _STEP, module.y)

    def module(self, location: Location) -> Point:
        """The attention at a place."""
        depth, level = self.network.depth, location.level
        down = _MARGIN + BLOCK_WIDTH // 2 + _STEP
        middle = down + (depth - 1) * _INDENT + MODULE_WIDTH + _AROUND_SKIP
        if location.stage is Stage.ENCODER:
            return Point(down + level * _INDENT, _row(level))
        if location.stage is Stage.BOTTLENECK:
            return Point(middle + _STEP // 2, _row(depth))
        if location.stage is Stage.SKIP:
            return Point(middle, _row(level))
        lowest = middle + MODULE_WIDTH // 2 + _AROUND_SKIP + BLOCK_WIDTH // 2 + _STEP
        return Point(lowest + (depth - 1 - level) * _INDENT, _row(level))


def _row(level: int) -> int:
    return _TOP + level * _ROW
