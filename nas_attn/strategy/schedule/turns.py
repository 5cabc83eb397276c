"""With which seed each proposal is tried: several in turn, each paired with the plain U-Net's run."""

from __future__ import annotations

from collections.abc import Sequence

PER_SEED = 8
"""After so many proposals the next seed joins, so that small studies spend no trials on the plain U-Net's runs."""


def turn(number: int, seeds: Sequence[int]) -> int:
    """The seed of a placement that is proposed for the first time.

    What an attention gains by luck with one seed, it gains in all placements that are tried with this seed: a
    search with a single seed learns the luck along with the attention's worth, however many placements it tries.

    Args:
        number: of the placement among those that were, from 0.
        seeds: the screening seeds, in their order.
    """
    return seeds[number % _n_seeds(number, seeds)]


def affordable_proposals(n_trials: int, seeds: Sequence[int]) -> int:
    """How many proposals so many trials hold, beside the plain U-Net's runs with their seeds but the first.

    Args:
        n_trials: for proposals and these runs, at least 0.
        seeds: the screening seeds.
    """
    number = n_trials
    while number > 0 and number + _n_seeds(number - 1, seeds) - 1 > n_trials:
        number -= 1
    return number


def _n_seeds(number: int, seeds: Sequence[int]) -> int:
    """How many seeds have joined when a proposal begins."""
    return min(len(seeds), 1 + number // PER_SEED)
