"""The additive strategy: its first design, and what it considers for its front."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from nas_attn.models.kind import AttentionKind
from nas_attn.models.network import UNetConfig
from nas_attn.models.placement import AttentionSpec
from nas_attn.space import Limits, SearchSpace
from nas_attn.strategy.samplers import additive
from nas_attn.strategy.samplers.additive import BLOCKS, Encoding, balanced_blocks


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


NETWORK = UNetConfig(3, 2, depth=2, base_channels=8)
NAMES = ("none", "a", "b", "c", "d")


def space(*n_choices: int) -> SearchSpace:
    """A U-Net of seven locations with these numbers of choices."""
    specs = tuple(AttentionSpec(name) for name in NAMES)
    choices = tuple((place, specs[:count]) for place, count in zip(NETWORK.locations, n_choices, strict=True))
    kinds = tuple(AttentionKind(name, name, "invented") for name in NAMES)
    return SearchSpace("invented", "", NETWORK, 32, 32, choices, Limits(), kinds)


def test_every_choice_is_tried_equally_often_at_its_location() -> None:
    blocks = list(balanced_blocks(space(*(5,) * 7), seed=0))

    assert [len(block) for block in blocks] == [5] * BLOCKS
    for block in blocks:
        for location in NETWORK.locations:
            assert Counter(str(run[location]) for run in block) == dict.fromkeys(NAMES, 1)


def test_shorter_lists_are_gone_through_again() -> None:
    counted = space(5, 1, 2, 3, 4, 5, 5)
    runs = [run for block in balanced_blocks(counted, seed=3) for run in block]

    assert all(counted.contains(run) for run in runs)
    for (location, kinds), most in zip(counted.choices, (2, 10, 6, 4, 4, 2, 2), strict=True):
        counts = Counter(str(run[location]) for run in runs)
        assert len(counts) == len(kinds)
        assert max(counts.values()) <= most


@pytest.mark.parametrize("seed", [0, 1])
def test_a_seed_gives_its_own_design(seed: int) -> None:
    counted = space(*(5,) * 7)

    assert list(balanced_blocks(counted, seed)) == list(balanced_blocks(counted, seed))
    assert list(balanced_blocks(counted, seed)) != list(balanced_blocks(counted, seed + 1))
