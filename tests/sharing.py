"""The default run is shared out to one process more than there are cores; a part of it runs in one process.

A part is chosen by path, mark or name.
"""

from __future__ import annotations

import os

import pytest

MOST = 8
"""Processes: each of them needs a gigabyte."""
WAITING = 1
"""Processes beyond one for each core: some tests wait, for a worker that hangs or a study under fire."""


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """What ``-n auto`` stands for; 0 is this process alone."""
    if named := os.environ.get("PYTEST_XDIST_AUTO_NUM_WORKERS"):
        return int(named)
    marked = any(word.startswith("-m") for word in map(str, config.invocation_params.args))
    if config.option.file_or_dir or config.option.keyword or marked:
        return 0
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(cores + WAITING, MOST)
