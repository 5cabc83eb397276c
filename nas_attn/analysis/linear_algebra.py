"""Linear algebra on one core, because the other cores train networks."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, wraps
from typing import ParamSpec, TypeVar

import numpy as np  # noqa: F401  # loads its BLAS, so that threadpoolctl finds it
import scipy.linalg  # has a BLAS of its own
from threadpoolctl import ThreadpoolController

from nas_attn.analysis.images import Array

P = ParamSpec("P")
R = TypeVar("R")


def on_one_core(function: Callable[P, R]) -> Callable[P, R]:
    """Limit the matrix computations of a function to one thread, whatever the setting of BLAS outside it.

    The model's matrices have a few hundred rows, for which further threads bring little. If other processes
    occupy the cores, as in a search, each product waits for a thread that is not running, and the waiting
    threads spin: twenty times as long, in processor time too.
    """

    @wraps(function)
    def alone(*args: P.args, **kwargs: P.kwargs) -> R:
        with _threads().limit(limits=1, user_api="blas"):
            return function(*args, **kwargs)

    return alone


def cholesky(covariance: Array) -> Array:
    """The lower Cholesky factor."""
    factor: Array = scipy.linalg.cholesky(covariance, lower=True, check_finite=False)
    return factor


def solve(triangle: Array, right: Array, *, transposed: bool = False) -> Array:
    """The solution of a lower triangular system, or of the system with its transpose."""
    solution: Array = scipy.linalg.solve_triangular(
        triangle, right, lower=True, trans=1 if transposed else 0, check_finite=False
    )
    return solution


@lru_cache(maxsize=1)
def _threads() -> ThreadpoolController:
    """Controller of all BLAS libraries that are loaded."""
    return ThreadpoolController()
