from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from nas_attn.data.mask_reading import coded, counted_colours, decoded

SHAPES = st.tuples(st.integers(1, 6), st.integers(1, 6), st.just(3))


@given(st.sampled_from([np.uint8, np.uint16]).flatmap(lambda kind: arrays.arrays(kind, SHAPES)))
def test_a_number_stands_for_one_colour(values: np.ndarray) -> None:
    assert np.array_equal(decoded(coded(values)), values.reshape(-1, 3))


@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.float32])
def test_colours_are_counted_in_order(kind: type) -> None:
    values = np.random.default_rng(0).choice([0, 7, 255], (20, 30, 3)).astype(kind)

    colours, counts = counted_colours(values)

    rows = sorted(map(tuple, values.reshape(-1, 3).tolist()))
    assert list(map(tuple, colours.tolist())) == sorted(set(rows))
    assert counts.tolist() == [rows.count(colour) for colour in sorted(set(rows))]
