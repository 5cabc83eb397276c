"""Which images of a data set are others than they were."""

from __future__ import annotations

import numpy as np

from nas_attn.data import read_folder
from nas_attn.data.summary import changes


def test_changed_added_and_lost_images_are_named(make_folder, save) -> None:
    folder = make_folder()
    before = dict(read_folder(folder).digests)
    assert changes(before, before).startswith("no image differs")
    save(folder / "masks/val/a.png", np.ones((6, 8), np.uint8))
    for part in ("images", "masks"):
        (folder / part / "test" / "a.png").rename(folder / part / "test" / "c.png")
    told = changes(before, dict(read_folder(folder).digests))
    assert told == "1 changed: val/a; 1 added: test/c; 1 gone: test/a"
