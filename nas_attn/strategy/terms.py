"""The terms of the model of effects: as columns of features, and as covariances of scores."""

from __future__ import annotations

import itertools
import math

import numpy as np

from nas_attn.strategy.encoding import Codes
from nas_attn.strategy.robust_scale import Array
from nas_attn.strategy.runs import Numbers, RungRuns


def terms(codes: Codes, stages: Numbers, n_specs: int) -> Array:
    """How often each term of an attention counts, (n, p): kinds, then stages, then locations."""
    chosen = own_terms(codes, n_specs).reshape(len(codes), codes.shape[1], n_specs - 1)
    by_stage = np.stack([chosen[:, stages == stage].sum(1) for stage in range(int(stages.max()) + 1)], axis=1)
    rows = len(codes)
    return np.column_stack([chosen.sum(1), by_stage.reshape(rows, -1), chosen.reshape(rows, -1)])


def own_terms(codes: Codes, n_specs: int) -> Array:
    """Which attention stands where, (n, L (S - 1)); ``none`` has no column."""
    chosen: Array = (codes[:, :, None] == np.arange(1, n_specs)).astype(float)
    return chosen.reshape(len(codes), -1)


def levels(seeds: Numbers, rungs: Numbers, n_seeds: int) -> Array:
    """The level of the top rung's runs, and each seed's, (n, 1 + seeds)."""
    columns = np.zeros((len(seeds), 1 + n_seeds))
    columns[:, 0] = rungs == 0
    columns[np.arange(len(seeds)), 1 + seeds] = 1.0
    return columns


def shared(one: Codes, other: Codes) -> Array:
    """How many locations hold the same attention in both, (n, m)."""
    number = np.zeros((len(one), len(other)))
    for location in range(one.shape[1]):
        ours, theirs = one[:, location], other[:, location]
        number += (ours[:, None] == theirs) & (ours[:, None] > 0)
    return number


def pair_kernel(common: Array, n_locations: int) -> Array:
    """How many pairs of attentions two placements share, over how many there can be, (n, m).

    Args:
        common: how many attentions they share, (n, m).
        n_locations: L.
    """
    pairs: Array = common * (common - 1) / max(1, n_locations * (n_locations - 1))
    return pairs


def luck_kernel(common: Array, runs: RungRuns) -> Array:
    """How many attentions two runs share, over how many there can be; 0 where their seeds differ: (n, n)."""
    kernel: Array = (runs.seeds[:, None] == runs.seeds) * common / runs.n_locations
    return kernel


def bias_kernel(common: Array, runs: RungRuns, rung: int) -> Array:
    """The same for two runs of one rung, whatever their seeds, 0 for all others: (n, n)."""
    here = runs.rungs == rung
    kernel: Array = np.outer(here, here) * common / runs.n_locations
    return kernel


def drawn_pairs(number: int, runs: RungRuns, variance: float, generator: np.random.Generator) -> Array:
    """What every pair of attentions adds, from the prior, (number, L, S, L, S); 0 for ``none``.

    Their sums over the pairs of a placement have the covariance of ``pair_kernel``.
    """
    n_locations, n_specs = runs.n_locations, runs.n_specs
    sd = math.sqrt(2 * variance / max(1, n_locations * (n_locations - 1)))
    drawn = sd * generator.standard_normal((number, n_locations, n_specs, n_locations, n_specs))
    drawn[:, :, 0] = 0.0
    drawn[..., 0] = 0.0
    return drawn


def pair_sums(codes: Codes, pairs: Array) -> Array:
    """The sum over the pairs of each placement, (n, L) -> (number, n)."""
    total = np.zeros((len(pairs), len(codes)))
    for one, other in itertools.combinations(range(codes.shape[1]), 2):
        total += pairs[:, one, codes[:, one], other, codes[:, other]]
    return total


def drawn_effects(
    number: int, groups: Numbers, runs: RungRuns, sds: Array, generator: np.random.Generator
) -> Array:
    """What the attentions of each run add in its group and in no other, from the prior, (number, n).

    Args:
        number: of draws.
        groups: (n,) the group of each run, from 0.
        runs: of n placements.
        sds: (groups,) of the sum where all locations attend.
        generator: of the draws.
    """
    n_locations = runs.n_locations
    drawn = generator.standard_normal((number, len(sds), n_locations, runs.n_specs))
    drawn *= (sds / math.sqrt(n_locations))[:, None, None]
    drawn[..., 0] = 0.0
    total: Array = drawn[:, groups[:, None], np.arange(n_locations), runs.codes].sum(2)
    return total
