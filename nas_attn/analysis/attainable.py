"""Bound the gain of the best placement of a space: the maximum of each draw from the posterior of all gains."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from nas_attn.analysis.images import Array
from nas_attn.analysis.posterior import Drawn, Posterior

DRAWS = 512
_MOST_SWEEPS = 20
_AT_ONCE = 64
"""Number of draws that are maximised together."""


def best_gains(posterior: Posterior, number: int = DRAWS) -> Iterator[Array]:
    """Draws of the gain of the best placement, some at a time, (number,) in all; at least 0.

    Each draw has an effect for every attention at every location, a joint effect for every pair of them, and a
    rest for every placement that was tried. The best placement is sought among the plain U-Net and all placements
    made of attentions that some run has at their locations, whatever they cost.

    Without pairs the search is exact. With pairs, one location after another is set to the best choice given the
    others, until nothing changes. It starts from the best single effects and from the best placement that was
    tried. Single attentions are always included, even if harmful by themselves, because they bring the gain common
    to all placements with attention.

    Rests of untried placements are left out, because nobody can find them without trying each placement. The
    draws are the same at every call.
    """
    if not posterior.choices:
        yield np.zeros(number)
        return
    where = np.array([location for location, _ in posterior.choices])
    groups = [np.flatnonzero(where == location) for location in np.unique(where)]
    draws, held = posterior.draws(number, np.random.default_rng(5)), posterior.holds_tried
    while some := list(islice(draws, _AT_ONCE)):
        yield _best(some, held, groups)


def _best(draws: list[Drawn], held: Array, groups: list[NDArray[np.int64]]) -> Array:
    """The gain of the best placement in each of d draws, (d,)."""
    common = np.array([drawn.common for drawn in draws])
    singles = np.stack([drawn.singles for drawn in draws])
    pairs = np.stack([drawn.pairs for drawn in draws])
    tried = np.stack([drawn.of_held(held) for drawn in draws])
    with_rests = tried + np.stack([drawn.rests for drawn in draws])
    starts = (np.zeros_like(singles), held[tried.argmax(1)])
    climbed = [_climbed(start, singles, pairs, groups) for start in starts]
    best: Array = np.maximum.reduce([*(common + gains for gains in (singles.max(1), *climbed)), with_rests.max(1)])
    return best.clip(min=0)


def _climbed(held: Array, singles: Array, pairs: Array, groups: list[NDArray[np.int64]]) -> Array:
    """The gains that d draws reach by changing one location after another, without the common gain, (d,).

    -inf for a draw that ends at the plain U-Net.

    Args:
        held: where each draw starts, (d, p) of 0 and 1; overwritten with the placements that are reached.
        singles: effect of each choice, (d, p).
        pairs: joint effect of each two choices, (d, p, p); 0 if both stand at one location.
        groups: the choices of each location.
    """
    beside = (pairs @ held[:, :, None])[:, :, 0]
    draws = np.arange(len(held))
    for _ in range(_MOST_SWEEPS):
        moved = False
        for group in groups:
            added = singles[:, group] + beside[:, group]
            wanted = np.zeros_like(added)
            best = added.argmax(1)
            wanted[draws, best] = added[draws, best] > 0
            change = wanted - held[:, group]
            changed = np.flatnonzero(change.any(1))
            held[:, group] = wanted
            beside[changed] += (change[changed, None] @ pairs[np.ix_(changed, group)])[:, 0]
            moved = moved or changed.size > 0
        if not moved:
            break
    gains: Array = np.where(held.any(1), (held * (singles + beside / 2)).sum(1), -np.inf)
    return gains
