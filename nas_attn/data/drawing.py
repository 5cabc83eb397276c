"""Draw data sets: bodies and their outlines, smooth fields, soft edges, blur."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import torch

from nas_attn.data.dataset import Dataset, LabelledImages, assemble, pack
from nas_attn.data.layout import SPLITS

MIN_IMAGE_SIZE = 16
_RIM_WIDTH = 0.055

Drawn = TypeVar("Drawn")
Bytes = npt.NDArray[np.uint8]
Draw = Callable[[np.random.Generator], tuple[Bytes, Bytes]]
Field = npt.NDArray[np.float64]
Outline = Callable[[Field, Field], Field]
"""From coordinates in which the shape has a radius of about 1, (H, W) each, to the depth of each pixel inside it.
The depth is in the same unit, negative outside, and near the edge about the distance to it."""


def drawn_dataset(name: str, classes: Sequence[str], draw: Draw, seed: int, counts: Sequence[int]) -> Dataset:
    """Still images, (C, H, W) each, with their masks, (H, W) each; ``counts`` of each split."""
    train, val, test = (_images(draw, seed, split, count) for split, count in enumerate(counts))
    return assemble(name, classes, train, val, test)


def _images(draw: Draw, seed: int, split: int, count: int) -> LabelledImages:
    pairs = drawn(draw, seed, split, count)
    return pack(
        [torch.from_numpy(image) for image, _ in pairs],
        [torch.from_numpy(mask) for _, mask in pairs],
        [f"{SPLITS[split]}-{index:04d}" for index in range(count)],
    )


def drawn(draw: Callable[[np.random.Generator], Drawn], seed: int, split: int, count: int) -> list[Drawn]:
    """The items of a split, each a function of the seed, the split and its index."""
    sequences = (np.random.SeedSequence((seed, split, index)) for index in range(count))
    return [draw(np.random.Generator(np.random.Philox(sequence))) for sequence in sequences]


def number_problems(least: Mapping[str, tuple[int, int]], counts: Sequence[int]) -> list[str]:
    """What is wrong with numbers that must be whole.

    Args:
        least: for each name, the number and its minimum.
        counts: number of items of each split, at least one.
    """
    numbers = {**least, **{f"n_{split}": (count, 1) for split, count in zip(SPLITS, counts, strict=True)}}
    return [
        f"{name} is {value!r}; it must be a whole number of at least {lowest}"
        for name, (value, lowest) in numbers.items()
        if not isinstance(value, int) or isinstance(value, bool) or value < lowest
    ]


def bodies_of(size: int, random: np.random.Generator) -> list[Body]:
    """Bodies that hardly touch each other."""
    bodies: list[Body] = []
    wanted = int(random.integers(3, 6))
    for row, column, share in random.uniform(0, 1, (60, 3)):
        centre, radius = ((0.04 + 0.92 * row) * size, (0.04 + 0.92 * column) * size), (0.17 + 0.06 * share) * size
        if is_free(centre, 1.2 * radius, bodies):
            outline = OUTLINES[int(random.integers(len(OUTLINES)))]
            bodies.append(Body(outline, centre, radius, random.uniform(0, 2 * np.pi)))
        if len(bodies) == wanted:
            break
    return bodies


def is_free(centre: tuple[float, float], radius: float, bodies: list[Body]) -> bool:
    """Whether a round object touches none of the bodies, which keep a distance of a fifth of their radius."""
    return all(
        np.hypot(centre[0] - body.centre[0], centre[1] - body.centre[1]) > radius + 1.2 * body.radius
        for body in bodies
    )


@dataclass(frozen=True)
class Body:
    outline: Outline
    centre: tuple[float, float]
    radius: float
    turn: float

    def depth(self, size: int) -> Field:
        """Depth of each pixel below the edge, in pixels, (size, size)."""
        return self.radius * self.outline(*local_coordinates(size, self.centre, self.radius, self.turn))

    def core(self, random: np.random.Generator) -> Body:
        """The core of this body."""
        off, turn = random.uniform(0, 0.2) * self.radius, random.uniform(0, 2 * np.pi)
        centre = (self.centre[0] + off * np.sin(turn), self.centre[1] + off * np.cos(turn))
        return Body(disc, centre, self.radius * random.uniform(0.4, 0.5), 0.0)

    def as_drawn(self, hand: float, random: np.random.Generator) -> Body:
        """This body as an annotator with an unsteady hand draws it."""
        row, column, growth = hand * random.normal(0, 1, 3)
        centre = (self.centre[0] + row * self.radius, self.centre[1] + column * self.radius)
        return replace(self, centre=centre, radius=self.radius * float(np.exp(growth)))


def rim_width(size: int) -> float:
    return max(1.0, _RIM_WIDTH * size)


def inside(depth: Field) -> Field:
    """The covered share of each pixel, 0 to 1, from its depth below an edge in pixels."""
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
    """Gaussian blur of (C, H, W); at the border, over the pixels inside."""
    if sigma < 0.05:
        return image
    at = np.arange(image.shape[-1])
    weights = np.exp(-((at[:, None] - at) ** 2) / (2 * sigma**2))
    weights /= weights.sum(axis=1, keepdims=True)
    blurred: Field = weights @ image @ weights.T
    return blurred


def disc(y: Field, x: Field) -> Field:
    """A disc."""
    return 1 - np.hypot(y, x)


def ellipse(y: Field, x: Field) -> Field:
    """An ellipse with the ratio 3:2."""
    radius = np.maximum(np.hypot(y / 0.8, x / 1.2), 1e-6)
    slope = np.maximum(np.hypot(y / 0.8**2, x / 1.2**2), 1e-6) / radius
    depth: Field = (1 - radius) / slope
    return depth


def square(y: Field, x: Field) -> Field:
    """A square with round corners."""
    return _box(y, x, 0.88, 0.88)


def rectangle(y: Field, x: Field) -> Field:
    """A rectangle with round corners and the ratio 3:2."""
    return _box(y, x, 0.72, 1.1)


def triangle(y: Field, x: Field) -> Field:
    """An equilateral triangle with round corners."""
    turns = 2 * np.pi / 3 * np.arange(3)
    nearness = np.sum([np.exp(8 * (y * np.cos(turn) + x * np.sin(turn))) for turn in turns], axis=0)
    depth: Field = 0.75 - np.log(nearness) / 8
    return depth


def lobed(y: Field, x: Field) -> Field:
    """A body with three lobes."""
    depth: Field = 0.95 + 0.15 * np.cos(3 * np.arctan2(y, x)) - np.hypot(y, x)
    return depth


OUTLINES: tuple[Outline, ...] = (disc, ellipse, square, rectangle, triangle, lobed)


def local_coordinates(size: int, centre: tuple[float, float], radius: float, turn: float) -> tuple[Field, Field]:
    """Coordinates, (size, size) each, in which a rotated shape has radius 1.

    Args:
        size: side of the image in pixels.
        centre: row and column in pixels.
        radius: of the shape in pixels.
        turn: in radians.
    """
    y, x = np.ogrid[:size, :size]
    y, x = (y - centre[0]) / radius, (x - centre[1]) / radius
    return np.cos(turn) * y - np.sin(turn) * x, np.sin(turn) * y + np.cos(turn) * x


def _box(y: Field, x: Field, height: float, width: float, corner: float = 0.25) -> Field:
    down, across = abs(y) - (height - corner), abs(x) - (width - corner)
    outside = np.hypot(np.maximum(down, 0), np.maximum(across, 0))
    depth: Field = corner - outside - np.minimum(np.maximum(down, across), 0)
    return depth
