"""One thread on one core: how times on a CPU repeat."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

import torch

from nas_attn.training.heap import keep_freed_memory


@contextlib.contextmanager
def pinned(device: torch.device) -> Iterator[None]:
    """Compute with a single thread, which stays on one core where the system allows that.

    Args:
        device: on which is computed; what a GPU takes is left as it is.
    """
    if device.type != "cpu":
        yield
        return
    with one_thread(), _one_core():
        yield


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Compute with a single thread, and keep memory that is freed, as the workers do."""
    keep_freed_memory()
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


@contextlib.contextmanager
def _one_core() -> Iterator[None]:
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    allowed = os.sched_getaffinity(0)
    with contextlib.suppress(OSError):
        os.sched_setaffinity(0, {max(allowed)})
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            os.sched_setaffinity(0, allowed)
