"""What the best placement of a space may gain: the maximum of each draw from the posterior of all gains."""

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
"""Draws that are maximised together."""


def best_gains(posterior: Posterior, number: int = DRAWS) -> Iterator[Array]:
    """The gain of the best placement, drawn from the posterior, some at a time, (number,) in all; 0 or more.

    In each draw every attention has its effect at every location, every pair of them what they add together,
    and every placement that was tried what it has by itself. The best is sought among all placements that
    consist of attentions which some run holds at their locations, whatever they cost, the plain U-Net among
    them. Without pairs it is exact; with pairs, one location after the other is set to what is best beside the
    others, from the best single effects and from the best placement that was tried, until nothing changes. A
    single attention is among them even where it harms by itself, since it brings what all have in common.
    What untried placements have by themselves is left out: nobody finds it but by trying each. The draws are
    the same at every call.
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
    """Of each of d draws, (d,)."""
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
    """The gains that d draws reach from a placement each by changing one location after the other, without what
    all have in common, (d,); -inf where that is the plain U-Net.

    Args:
        held: the placements, (d, p) of 0 and 1; changed to those that are reached.
        singles: what each choice adds, (d, p).
        pairs: what each two add together, (d, p, p); nothing where both stand at one location.
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
