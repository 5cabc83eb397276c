"""Seeds join one after the other, and the plain U-Net's runs with them are counted."""

from __future__ import annotations

from collections import Counter

import pytest

from nas_attn.strategy.schedule.turns import PER_SEED, affordable_proposals, turn


def test_seeds_join_one_by_one_and_then_take_equal_turns() -> None:
    seeds = (7, 8, 9, 10)
    taken = [turn(number, seeds) for number in range(200)]
    assert [taken.index(seed) for seed in seeds] == [0, PER_SEED + 1, 2 * PER_SEED + 1, 3 * PER_SEED + 3]
    assert set(Counter(taken[4 * PER_SEED :]).values()) == {42}


def test_with_one_seed_every_proposal_takes_it() -> None:
    assert {turn(number, (5,)) for number in range(50)} == {5}
    assert [affordable_proposals(number, (5,)) for number in (0, 1, 50)] == [0, 1, 50]


@pytest.mark.parametrize("n_trials", range(60))
def test_proposals_and_the_runs_of_the_plain_unet_fit_into_the_trials(n_trials: int) -> None:
    """By counting the seeds that really came up; one more proposal would not fit."""
    seeds = (0, 1, 2, 3)

    def needed(number: int) -> int:
        return number + max(0, len({turn(one, seeds) for one in range(number)}) - 1)

    number = affordable_proposals(n_trials, seeds)
    assert needed(number) <= n_trials
    assert needed(number + 2) > n_trials
