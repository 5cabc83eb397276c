"""How many seeds a verification runs, where some of them are lost."""

from __future__ import annotations

from collections.abc import Set

_LEAST_REPLACED = 2


def most_replaced(n_seeds: int) -> int:
    """How many lost seeds are replaced at most: half of them, and two in any case."""
    return max(_LEAST_REPLACED, n_seeds // 2)


def n_with_replacements(first_seed: int, n_seeds: int, lost: Set[int]) -> int:
    """How many consecutive seeds it takes until so many are not lost, as far as they are replaced.

    Args:
        first_seed: of the verification.
        n_seeds: that are wanted.
        lost: seeds with which the winner or the plain U-Net collapsed or failed.
    """
    number = n_seeds
    while number < n_seeds + most_replaced(n_seeds):
        if number - sum(first_seed <= seed < first_seed + number for seed in lost) >= n_seeds:
            break
        number += 1
    return number
