"""What the best placement of a space may gain: the maximum of each draw from the posterior of all gains."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nas_attn.analysis.images import Array
from nas_attn.analysis.posterior import Drawn, Posterior

DRAWS = 512
_MOST_SWEEPS = 20


def best_gains(posterior: Posterior, number: int = DRAWS) -> Array:
    """The gain of the best placement, drawn from the posterior, (number,); 0 or more.

    In each draw every attention has its effect at every location, every pair of them what they add together,
    and every placement that was tried what it has by itself. The best is sought among all placements that
    consist of attentions which some run holds at their locations, whatever they cost, the plain U-Net among
    them. Without pairs it is exact; with pairs, one location after the other is set to what is best beside the
    others, from the best single effects and from the best placement that was tried, until nothing changes.
    What untried placements have by themselves is left out: nobody finds it but by trying each. The draws are
    the same at every call.
    """
    if not posterior.choices:
        return np.zeros(number)
    where = np.array([location for location, _ in posterior.choices])
    groups = [np.flatnonzero(where == location) for location in np.unique(where)]
    held = posterior.holds_tried
    return np.array([_best(drawn, held, groups) for drawn in posterior.draws(number, np.random.default_rng(5))])


def _best(drawn: Drawn, held: Array, groups: list[NDArray[np.int64]]) -> float:
    tried = drawn.of_held(held)
    starts = (np.zeros(len(drawn.singles)), held[int(np.argmax(tried))])
    climbed = max(_climbed(start, drawn.singles, drawn.pairs, groups) for start in starts)
    return max(0.0, climbed, float((tried + drawn.rests).max()))


def _climbed(start: Array, singles: Array, pairs: Array, groups: list[NDArray[np.int64]]) -> float:
    """The gain that is reached from a placement, (p,) of 0 and 1, by changing one location after the other."""
    held = start.copy()
    for _ in range(_MOST_SWEEPS):
        before = held.copy()
        for group in groups:
            held[group] = 0.0
            added = singles[group] + pairs[group] @ held
            best = int(added.argmax())
            held[group[best]] = float(added[best] > 0)
        if (held == before).all():
            break
    return float(held @ singles + held @ pairs @ held / 2)
