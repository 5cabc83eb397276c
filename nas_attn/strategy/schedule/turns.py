"""The seed of each proposal: several seeds take turns, and each proposal is paired with the baseline's run."""

from __future__ import annotations

from collections.abc import Sequence

PER_SEED = 8
"""The next seed joins after this many proposals, so that small studies spend no trials on the baseline's runs."""


def turn(number: int, seeds: Sequence[int]) -> int:
    """The seed of a placement that is proposed for the first time.

    An attention that does well by chance with one seed does so in all placements that are tried with this seed. So
    a search with a single seed would learn this chance effect along with the attention's gain, however many
    placements it tries.

    Args:
        number: of the placement among the new ones, from 0.
        seeds: the screening seeds, in their order.
    """
    return seeds[number % _n_seeds(number, seeds)]


def affordable_proposals(n_trials: int, seeds: Sequence[int]) -> int:
    """Number of proposals that fit into a number of trials, together with the baseline's runs with all seeds but
    the first.

    Args:
        n_trials: for proposals and these runs, at least 0.
        seeds: the screening seeds.
    """
    number = n_trials
    while number > 0 and number + _n_seeds(number - 1, seeds) - 1 > n_trials:
        number -= 1
    return number


def _n_seeds(number: int, seeds: Sequence[int]) -> int:
    """Number of seeds that have joined when a proposal starts."""
    return min(len(seeds), 1 + number // PER_SEED)
