"""The exact Pareto front over all placements of a space, if value and cost add up over the locations."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nas_attn.analysis.images import Array

MOST_POINTS = 20_000
"""A front with more points is thinned evenly over its costs. Only then is it not exact."""


@dataclass(frozen=True, eq=False)
class Front:
    """Placements on the Pareto front of value and cost, sorted by cost.

    Args:
        codes: (n, L) choices.
        values: (n,) sums of the choices' values.
        costs: (n,) sums of the choices' costs.
    """

    codes: NDArray[np.int64]
    values: Array
    costs: Array


def exact_front(values: Array, costs: Array) -> Front:
    """All combinations of one option per location that are optimal for some cost.

    A multiple-choice knapsack for every capacity at once, by dynamic programming: what is dominated among the
    first locations stays dominated, whatever follows (Nemhauser and Ullmann 1969, Management Science 15(9)).

    Args:
        values: (L, S) what each option adds; higher is better.
        costs: (L, S) likewise, at least 0; infinite if a location does not offer the option.
    """
    codes = np.zeros((1, 0), dtype=np.int64)
    value, cost = np.zeros(1), np.zeros(1)
    for location in range(len(values)):
        options = np.flatnonzero(np.isfinite(costs[location]))
        total_value = (value[:, None] + values[location, options]).ravel()
        total_cost = (cost[:, None] + costs[location, options]).ravel()
        kept = _thin(undominated(total_value, total_cost))
        parents, choices = np.divmod(kept, len(options))
        codes = np.column_stack([codes[parents], options[choices]])
        value, cost = total_value[kept], total_cost[kept]
    return Front(codes, value, cost)


def undominated(values: Array, costs: Array) -> NDArray[np.int64]:
    """The points that no other point dominates, by increasing cost; of equal points, the first."""
    order = np.lexsort((np.arange(len(values)), -values, costs))
    best_before = np.concatenate([[-np.inf], np.maximum.accumulate(values[order])[:-1]])
    return order[values[order] > best_before]


def _thin(kept: NDArray[np.int64]) -> NDArray[np.int64]:
    if len(kept) <= MOST_POINTS:
        return kept
    return kept[np.unique(np.linspace(0, len(kept) - 1, MOST_POINTS).round().astype(np.int64))]
