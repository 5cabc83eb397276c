"""Tests of linear algebra on one core."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from nas_attn.analysis.linear_algebra import on_one_core

_BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
_TIMES = """
import sys, time
sys.path.insert(0, sys.argv[1])
from claims import play
from worlds import WORLDS
play(WORLDS["dense-images-24"], 0, 20)
began, began_here = time.process_time(), time.thread_time()
play(WORLDS["dense-images-24"], 1, 120)
print(time.process_time() - began, time.thread_time() - began_here)
"""
"""Processor time of a search, its ranking and its verdict: of all threads, and of the one that has the search."""


def _n_threads() -> list[int]:
    return [library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"]


@pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="one core has no other threads")
def test_within_a_function_there_is_one_thread_and_outside_as_many_as_before() -> None:
    with threadpool_limits(2, user_api="blas"):
        assert set(on_one_core(_n_threads)()) == {1}
        assert set(_n_threads()) == {2}


def test_errors_leave_the_threads_as_they_were() -> None:
    before = _n_threads()
    with pytest.raises(np.linalg.LinAlgError):
        on_one_core(np.linalg.cholesky)(-np.eye(3))
    assert _n_threads() == before


@pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="one core has no other threads")
def test_no_other_thread_works_while_a_search_is_analysed() -> None:
    """Threads of BLAS that wait for others take a core each, beside the workers' trainings."""
    environment = {**os.environ, "OMP_NUM_THREADS": "2", "OPENBLAS_NUM_THREADS": "2"}
    asked = [sys.executable, "-c", _TIMES, str(_BENCHMARKS)]
    found = subprocess.run(asked, env=environment, capture_output=True, text=True, check=True)
    all_threads, this_thread = map(float, found.stdout.split())
    assert all_threads < 1.3 * this_thread + 0.1
