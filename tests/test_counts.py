"""Counts by image survive their packing, and take little room."""

from __future__ import annotations

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given
from hypothesis.extra import numpy as hnp

from nas_attn.counts import ImageCounts, n_groups

shapes = st.tuples(st.integers(1, 5), st.integers(1, 4))
pixels = shapes.flatmap(lambda shape: hnp.arrays(np.int64, (2, *shape), elements=st.integers(0, 2**40)))


@given(pixels)
def test_counts_come_back(counts: np.ndarray) -> None:
    intersections, errors = counts
    packed = ImageCounts.of(intersections, intersections + errors)
    assert (packed.groups, packed.classes) == intersections.shape
    for given_, found in zip((intersections, intersections + errors), packed.unpack(), strict=True):
        assert np.array_equal(given_, found)


def test_a_hundred_images_of_three_classes_take_two_kilobytes() -> None:
    generator = np.random.default_rng(0)
    intersections = generator.integers(0, 64 * 64, (96, 3))
    unions = intersections + generator.integers(0, 400, (96, 3))
    assert len(ImageCounts.of(intersections, unions).packed) < 2048


@pytest.mark.parametrize(
    ("images", "classes", "groups"),
    [(1, 2, 1), (96, 3, 96), (5000, 3, 128), (5000, 100, 40), (5000, 254, 16), (7, 254, 7)],
)
def test_many_images_share_groups(images: int, classes: int, groups: int) -> None:
    assert n_groups(images, classes) == groups
