"""Images that a network cannot take: the one rule of searches and of ``nas-attn data check``."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from nas_attn.data.problem import first_few

_SHOWN = 3


@dataclass(frozen=True)
class LeastSide:
    """What a network needs of an image that it judges.

    Args:
        pixels: of the shorter side, at least.
        title: of the network, such as ``a U-Net of depth 4``.
    """

    pixels: int
    title: str

    def problem(self, images: Iterable[tuple[str, int, int]]) -> str | None:
        """Which images are too small, in a line; None where none is.

        Args:
            images: (name, height, width) of each that is validated or tested, shrunk as the search shrinks it.
        """
        small = [
            f"{name} is {height}x{width}" for name, height, width in images if min(height, width) < self.pixels
        ]
        if not small:
            return None
        return (
            f"images too small for {self.title}, which needs {self.pixels} pixels "
            f"a side: {first_few(small, _SHOWN)}; use a space of a smaller depth or a larger --longest-side"
        )
