"""The normal equations of the model of effects' linear terms."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
import scipy.linalg

from nas_attn.strategy.robust_scale import Array
from nas_attn.strategy.runs import RungRuns
from nas_attn.strategy.terms import levels, own_terms, terms
from nas_attn.strategy.variances import RungVariances, of_levels

MOST_COLUMNS = 1024
"""With more columns than these luck is left out where it would be linear terms."""
_BLOCK = 256


def cholesky(covariance: Array) -> Array:
    """The lower factor."""
    factor: Array = scipy.linalg.cholesky(covariance, lower=True)
    return factor


def solve(triangle: Array, right: Array, *, lower: bool = True) -> Array:
    """The solution of a triangular system."""
    solution: Array = scipy.linalg.solve_triangular(triangle, right, lower=lower)
    return solution


def features_of(runs: RungRuns, variances: RungVariances) -> Array:
    """(n, p): level and seeds, then what each run shows of kinds, stages, locations."""
    shown = variances.gains(runs)[:, None] * terms(runs.codes, runs.stages, runs.n_specs)
    return np.column_stack([levels(runs.seeds, runs.rungs, runs.n_seeds), shown])


def prior_of(runs: RungRuns, variances: RungVariances) -> Array:
    """Variance of each linear term, (p,)."""
    return np.concatenate([of_levels(runs.n_seeds), variances.of_terms(runs)])


def whitened(runs: RungRuns, variances: RungVariances, whitener: Array) -> tuple[Array, Array]:
    """The normal equations of the linear terms, F' C^-1 F and F' C^-1 s, (p, p) and (p,)."""
    white = solve(whitener, np.column_stack([features_of(runs, variances), runs.scores]))
    return white[:, :-1].T @ white[:, :-1], white[:, :-1].T @ white[:, -1]


def _extras(runs: RungRuns) -> tuple[int, int]:
    """Of how many rungs the biases, and of how many seeds the luck, are linear terms, too."""
    width = (runs.n_specs - 1) * runs.n_locations
    first = 1 + runs.n_seeds + (runs.n_specs - 1) * (1 + int(runs.stages.max()) + 1) + width
    room = (MOST_COLUMNS - first) // width
    n_seeds = runs.n_seeds if runs.n_short + runs.n_seeds <= room else 0
    return runs.n_short, n_seeds


def prior_of_extras(runs: RungRuns, variances: RungVariances) -> Array:
    """Variance of each of the further terms that ``summed`` has, (q,)."""
    n_rungs, n_seeds = _extras(runs)
    width = (runs.n_specs - 1) * runs.n_locations
    each = [*(rung.bias for rung in variances.short[:n_rungs]), *[variances.by_seed] * n_seeds]
    variance: Array = np.repeat(np.array(each) / runs.n_locations, width)
    return variance


def summed(runs: RungRuns, variances: RungVariances) -> tuple[Array, Array]:
    """The same where they are all there is but for noise, biases and luck among them.

    They are sums over blocks of runs, of which only the last is not known from before.
    """
    gains, sds = variances.gains(runs), np.sqrt(variances.noises(runs))
    layout = _Layout(tuple(runs.stages.tolist()), runs.n_specs, runs.n_seeds, *_extras(runs))
    blocks = tuple(
        _Block(
            runs.codes[block].tobytes(),
            runs.seeds[block].tobytes(),
            runs.rungs[block].tobytes(),
            gains[block].tobytes(),
            sds[block].tobytes(),
            layout,
        )
        for start in range(0, len(sds), _BLOCK)
        for block in [slice(start, start + _BLOCK)]
    )
    weighted = np.split(runs.scores / sds, range(_BLOCK, len(sds), _BLOCK))
    right = sum(_weighted(block).T @ scores for block, scores in zip(blocks, weighted, strict=True))
    return _square_of(blocks), np.asarray(right)


class _Layout(NamedTuple):
    """The columns of the sums."""

    stages: tuple[int, ...]
    n_specs: int
    n_seeds: int
    n_biased: int
    n_lucky: int


class _Block(NamedTuple):
    """Some runs, as bytes that can be looked up."""

    codes: bytes
    seeds: bytes
    rungs: bytes
    gains: bytes
    sds: bytes
    layout: _Layout


@lru_cache(maxsize=4)
def _square_of(blocks: tuple[_Block, ...]) -> Array:
    """F' C^-1 F over all blocks, (p, p): megabytes, and only what all blocks but the last give is used again."""
    features = _weighted(blocks[-1])
    square: Array = features.T @ features
    return square if len(blocks) == 1 else _square_of(blocks[:-1]) + square


@lru_cache(maxsize=64)
def _weighted(block: _Block) -> Array:
    """Weighted features of some runs, (n, p)."""
    layout = block.layout
    codes = np.frombuffer(block.codes, dtype=np.int64).reshape(-1, len(layout.stages))
    seeds, rungs = (np.frombuffer(numbers, dtype=np.int64) for numbers in (block.seeds, block.rungs))
    gains = np.frombuffer(block.gains)[:, None]
    own = own_terms(codes, layout.n_specs)
    columns = [
        levels(seeds, rungs, layout.n_seeds),
        gains * terms(codes, np.array(layout.stages), layout.n_specs),
        *((rungs == number)[:, None] * own for number in range(1, layout.n_biased + 1)),
        *(gains * (seeds == number)[:, None] * own for number in range(layout.n_lucky)),
    ]
    features: Array = np.column_stack(columns) / np.frombuffer(block.sds)[:, None]
    return features
