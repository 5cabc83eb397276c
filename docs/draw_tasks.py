"""The picture of the built-in tasks:  python docs/draw_tasks.py

Six training images as they are and without their light, and below them their masks.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from nas_attn.data import synthetic, synthetic_null

PICTURE = Path(__file__).parent / "pictures" / "built-in.png"
N_IMAGES, SIDE, SCALE, GAP = 6, 64, 2, 8
COLOURS = np.array([[40, 40, 40], [235, 140, 60], [70, 130, 235]], dtype=np.uint8)


def draw(picture: Path) -> None:
    """Write the rows, enlarged without smoothing."""
    lit, unlit = (
        make(image_size=SIDE, n_train=N_IMAGES, n_val=1, n_test=1).train for make in (synthetic, synthetic_null)
    )
    pixels = [images.pixels.numpy().transpose(0, 2, 3, 1) for images in (lit, unlit)]
    tile = SIDE * SCALE
    sheet = Image.new("RGB", (N_IMAGES * (tile + GAP) - GAP, 3 * (tile + GAP) - GAP), "white")
    for row, images in enumerate((*pixels, COLOURS[lit.masks.numpy()])):
        for column, array in enumerate(images):
            enlarged = Image.fromarray(np.ascontiguousarray(array)).resize((tile, tile), Image.Resampling.NEAREST)
            sheet.paste(enlarged, (column * (tile + GAP), row * (tile + GAP)))
    sheet.save(picture, optimize=True)


if __name__ == "__main__":
    draw(PICTURE)
