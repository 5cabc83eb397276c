"""What the additive strategy considers for its front."""

from __future__ import annotations

import numpy as np
import pytest

from nas_attn.strategy.encoding import Encoding
from nas_attn.strategy.samplers import additive


def test_every_placement_of_a_small_space_is_considered_at_its_cost(space_of, play) -> None:
    space = space_of(2, 3, n_open=4)
    question = play(space).question()
    encoding = Encoding.of(space)
    costs = encoding.costs(question)
    codes, cost = additive._candidates(question, np.zeros_like(costs), encoding, costs)

    plain = question.cost(space.plain)
    found = {encoding.decode(row): dear for row, dear in zip(codes, cost, strict=True)}
    assert found.keys() == set(space.placements())
    assert all(dear == pytest.approx(question.cost(placement) - plain) for placement, dear in found.items())


def test_of_a_large_space_the_front_without_pairs_is_considered(space_of, play) -> None:
    space = space_of(2, 6)
    question = play(space).question()
    encoding = Encoding.of(space)
    costs = encoding.costs(question)
    values = np.random.default_rng(0).normal(size=costs.shape)
    codes, cost = additive._candidates(question, values, encoding, costs)

    worth = np.take_along_axis(values, codes.T, axis=1).sum(0)
    assert 1 < len(codes) <= additive.CANDIDATES
    assert (np.diff(cost) > 0).all()
    assert (np.diff(worth) > 0).all()
