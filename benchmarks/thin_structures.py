"""A folder of made images with thin structures: branching vessels of one to three pixels before an uneven ground.

python benchmarks/thin_structures.py --out FOLDER
python benchmarks/recipes.py --out recipes.jsonl --data FOLDER --recipe optimiser=adamw --recipe usual
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

_SIDE = 96
_TREES, _BRANCHES = 3, 4
_STEP, _BEND = 4.0, 0.25
"""Pixels of a piece of a vessel, and by how many radians the next turns away (standard deviation)."""
_CONTRAST, _NOISE, _GROUND = 35.0, 12.0, 40.0
"""Of vessels, of a pixel and of the ground over the whole image, in grey levels of 255."""


def main() -> None:
    """Draw and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", required=True, type=Path, help="folder, for images and masks")
    parser.add_argument("--images", type=int, default=240, help="how many (%(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of the drawing (%(default)s)")
    asked = parser.parse_args()
    for name in ("images", "masks"):
        (asked.out / name).mkdir(parents=True, exist_ok=True)
    for number in range(asked.images):
        image, mask = drawn(np.random.default_rng([asked.seed, number]))
        image.save(asked.out / "images" / f"{number:03}.png")
        mask.save(asked.out / "masks" / f"{number:03}.png")


def drawn(generator: np.random.Generator) -> tuple[Image.Image, Image.Image]:
    """An image in grey, and its mask with 1 where a vessel is."""
    mask = Image.new("L", (_SIDE, _SIDE))
    for _ in range(_TREES):
        _draw_tree(ImageDraw.Draw(mask), generator)
    vessels = np.asarray(mask.filter(ImageFilter.GaussianBlur(0.6)), dtype=float)
    coarse = Image.fromarray(generator.standard_normal((4, 4)).astype(np.float32))
    ground = np.asarray(coarse.resize((_SIDE, _SIDE), Image.Resampling.BICUBIC))
    grey = 128 + _GROUND * ground - _CONTRAST * vessels + _NOISE * generator.standard_normal(ground.shape)
    return Image.fromarray(grey.clip(0, 255).astype(np.uint8)), mask


def _draw_tree(drawing: ImageDraw.ImageDraw, generator: np.random.Generator) -> None:
    """A vessel from somewhere on, and thinner ones that leave it."""
    starts = [(generator.uniform(0, _SIDE, 2), generator.uniform(0, 2 * np.pi), 3)]
    for _ in range(_BRANCHES):
        place, angle, width = starts.pop(int(generator.integers(len(starts))))
        for _ in range(int(generator.integers(8, 20))):
            angle += _BEND * generator.standard_normal()
            following = place + _STEP * np.array([np.cos(angle), np.sin(angle)])
            drawing.line([*place, *following], fill=1, width=width)
            starts.append((following, angle + generator.choice([-0.9, 0.9]), max(1, width - 1)))
            place = following


if __name__ == "__main__":
    main()
