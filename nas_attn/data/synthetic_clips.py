"""The built-in task of clips: moving and resting bodies that look alike in every single frame."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from nas_attn.data.dataset import Dataset, LabelledImages, assemble, pack
from nas_attn.data.drawing import (
    MIN_IMAGE_SIZE,
    OUTLINES,
    Field,
    Outline,
    drawn,
    local_coordinates,
    number_problems,
)
from nas_attn.data.layout import SPLITS
from nas_attn.errors import DataError

CLASSES = ("background", "resting", "moving")
_CONTRAST = 0.3


def synthetic_clips(
    *,
    image_size: int = 64,
    length: int = 8,
    seed: int = 0,
    n_train: int = 64,
    n_val: int = 24,
    n_test: int = 24,
    noise: float = 0.08,
    speed: float = 0.08,
) -> Dataset:
    """Grey clips with three classes, with a mask for every frame.

    Whether a body moves is independent of its outline, size, brightness and place, so a single frame does not show
    it: a network that sees one frame can only guess between resting and moving. A clip is a function of (seed,
    split, its index), so other numbers of clips do not change it.

    Args:
        image_size: H and W in pixels, at least 16.
        length: frames of each clip, at least 2.
        seed: of all randomness, at least 0.
        n_train: number of training clips.
        n_val: number of validation clips.
        n_test: number of test clips.
        noise: standard deviation of the grain, which is new in each frame, as a share of the range of brightness.
        speed: of moving bodies, in sides of the image per frame, plus or minus a third.
    Raises:
        DataError: a value is out of range; all such values are reported together.
    """
    counts = (n_train, n_val, n_test)
    if found := _problems(image_size, length, seed, counts, {"noise": noise, "speed": speed}):
        raise DataError([f"clips: {problem}" for problem in found])
    shape = _Shape(image_size, length, noise, speed)
    train, val, test = (_split(at, count, shape, seed) for at, count in enumerate(counts))
    return assemble("clips", CLASSES, train, val, test)


@dataclass(frozen=True)
class _Shape:
    """Properties that all clips share."""

    size: int
    length: int
    noise: float
    speed: float


@dataclass(frozen=True)
class _MovingBody:
    """A body and its path: its place in the first frame, and its movement per frame, in pixels."""

    outline: Outline
    radius: float
    turn: float
    brightness: float
    start: tuple[float, float]
    step: tuple[float, float]

    @property
    def label(self) -> int:
        return CLASSES.index("moving" if any(self.step) else "resting")

    def depth(self, frame: int, size: int) -> Field:
        """Depth of each pixel below its edge, in pixels; at the border of the image, a body turns back."""
        row, column = (
            _reflected(start + frame * step, self.radius, size - self.radius)
            for start, step in zip(self.start, self.step, strict=True)
        )
        return self.radius * self.outline(*local_coordinates(size, (row, column), self.radius, self.turn))


def _split(split: int, count: int, shape: _Shape, seed: int) -> LabelledImages:
    clips = drawn(lambda random: _draw(shape, random), seed, split, count)
    return pack(
        [torch.from_numpy(image) for images, _ in clips for image in images],
        [torch.from_numpy(mask) for _, masks in clips for mask in masks],
        [f"{SPLITS[split]}-{index:04d}/{frame:04d}" for index in range(count) for frame in range(shape.length)],
        [shape.length] * count,
    )


def _draw(
    shape: _Shape, random: np.random.Generator
) -> tuple[list[npt.NDArray[np.uint8]], list[npt.NDArray[np.uint8]]]:
    """The frames (1, size, size) of a clip and their masks (size, size)."""
    backdrop = random.uniform(0.3, 0.5) + random.uniform(-0.1, 0.1) * _slope(shape.size, random)
    bodies = _bodies(shape, random)
    images, masks = [], []
    for frame in range(shape.length):
        canvas, mask = backdrop.copy(), np.zeros(backdrop.shape, dtype=np.uint8)
        for body in bodies:
            depth = body.depth(frame, shape.size)
            cover = np.clip(0.5 + depth, 0, 1)
            canvas += cover * (backdrop + body.brightness - canvas)
            mask[depth >= 0] = body.label
        canvas += random.normal(0, shape.noise, canvas.shape)
        images.append(np.clip(np.rint(255 * canvas), 0, 255).astype(np.uint8)[None])
        masks.append(mask)
    return images, masks


def _slope(size: int, random: np.random.Generator) -> Field:
    return local_coordinates(size, (size / 2, size / 2), size / 2, random.uniform(0, 2 * np.pi))[0]


def _bodies(shape: _Shape, random: np.random.Generator) -> list[_MovingBody]:
    """Bodies that hardly touch in the first frame; each moves or rests with equal probability."""
    bodies: list[_MovingBody] = []
    wanted = int(random.integers(3, 7))
    for row, column, share in random.uniform(0, 1, (60, 3)):
        radius = (0.1 + 0.05 * share) * shape.size
        start = tuple(radius + place * (shape.size - 2 * radius) for place in (row, column))
        if all(math.dist(start, body.start) > 1.2 * (radius + body.radius) for body in bodies):
            outline = OUTLINES[int(random.integers(len(OUTLINES)))]
            turn, course = random.uniform(0, 2 * np.pi, 2)
            brightness = _CONTRAST * random.uniform(0.8, 1.4)
            pace = shape.speed * shape.size * random.uniform(2 / 3, 4 / 3) * random.integers(2)
            step = (float(pace * np.sin(course)), float(pace * np.cos(course)))
            bodies.append(_MovingBody(outline, radius, turn, brightness, (start[0], start[1]), step))
        if len(bodies) == wanted:
            break
    return bodies


def _reflected(place: float, low: float, high: float) -> float:
    """A position on a line, reflected at both ends."""
    room = high - low
    way = (place - low) % (2 * room)
    return low + min(way, 2 * room - way)


def _problems(
    image_size: int, length: int, seed: int, counts: tuple[int, ...], amounts: dict[str, float]
) -> list[str]:
    least = {"image_size": (image_size, MIN_IMAGE_SIZE), "length": (length, 2), "seed": (seed, 0)}
    found = number_problems(least, counts)
    found += [
        f"{name} is {value!r}; it must be from 0 to below 1"
        for name, value in amounts.items()
        if not 0 <= value < 1
    ]
    return found
