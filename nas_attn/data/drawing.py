"""What synthetic images are drawn of: bodies, smooth fields, soft edges, and blur."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from nas_attn.data.outlines import OUTLINES, Field, Outline, disc, local_coordinates

_RIM_WIDTH = 0.055


@dataclass(frozen=True)
class Body:
    outline: Outline
    centre: tuple[float, float]
    radius: float
    turn: float

    def depth(self, size: int) -> Field:
        """How deep each pixel lies below the edge, in pixels, (size, size)."""
        return self.radius * self.outline(*local_coordinates(size, self.centre, self.radius, self.turn))

    def core(self, random: np.random.Generator) -> Body:
        """The core of this body."""
        off, turn = random.uniform(0, 0.2) * self.radius, random.uniform(0, 2 * np.pi)
        centre = (self.centre[0] + off * np.sin(turn), self.centre[1] + off * np.cos(turn))
        return Body(disc, centre, self.radius * random.uniform(0.4, 0.5), 0.0)

    def as_drawn(self, hand: float, random: np.random.Generator) -> Body:
        """Where an annotator of unsteady hand sees this body."""
        row, column, growth = hand * random.normal(0, 1, 3)
        centre = (self.centre[0] + row * self.radius, self.centre[1] + column * self.radius)
        return replace(self, centre=centre, radius=self.radius * float(np.exp(growth)))


def bodies_of(size: int, random: np.random.Generator) -> list[Body]:
    """Bodies that hardly touch each other."""
    bodies: list[Body] = []
    wanted = int(random.integers(3, 6))
    for row, column, share in random.uniform(0, 1, (60, 3)):
        centre, radius = ((0.04 + 0.92 * row) * size, (0.04 + 0.92 * column) * size), (0.17 + 0.06 * share) * size
        if is_free(centre, 1.2 * radius, bodies, 1.2):
            outline = OUTLINES[int(random.integers(len(OUTLINES)))]
            bodies.append(Body(outline, centre, radius, random.uniform(0, 2 * np.pi)))
        if len(bodies) == wanted:
            break
    return bodies


def is_free(centre: tuple[float, float], radius: float, bodies: list[Body], room: float) -> bool:
    return all(
        np.hypot(centre[0] - body.centre[0], centre[1] - body.centre[1]) > radius + room * body.radius
        for body in bodies
    )


def rim_width(size: int) -> float:
    return max(1.0, _RIM_WIDTH * size)


def inside(depth: Field) -> Field:
    """How much of each pixel is covered, 0 to 1, from its depth below an edge in pixels."""
    covered: Field = np.clip(0.5 + depth, 0, 1)
    return covered


def smooth(size: int, channels: int, random: np.random.Generator, cells: int) -> Field:
    """Random fields (channels, size, size) of standard deviation about 1/2 that vary over 1/cells of the side."""
    coarse = random.normal(0, 1, (channels, cells + 1, cells + 1))
    at = np.linspace(0, cells, size)
    weights = np.maximum(0, 1 - abs(at[:, None] - np.arange(cells + 1)))
    weights = weights**2 * (3 - 2 * weights)
    field: Field = weights @ coarse @ weights.T
    return field


def blurred(image: Field, sigma: float) -> Field:
    """Gaussian blur of (C, H, W); at the border over what lies inside."""
    if sigma < 0.05:
        return image
    at = np.arange(image.shape[-1])
    weights = np.exp(-((at[:, None] - at) ** 2) / (2 * sigma**2))
    weights /= weights.sum(axis=1, keepdims=True)
    blurred: Field = weights @ image @ weights.T
    return blurred
