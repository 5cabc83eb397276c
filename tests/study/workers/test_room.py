"""Workers and memory: warned of where the one does not fit into the other."""

from __future__ import annotations

import pytest

from nas_attn.study.workers.room import crowded


def test_too_many_workers_are_told_how_many_have_room() -> None:
    """64 x 430 MB are 27.52 GB; 0.8 x 16 GB hold 29 x 430 MB = 12.47 GB, and not 30 x 430 MB = 12.9 GB."""
    assert crowded(64, 16_000_000_000) == (
        "64 workers take 27.5 GB of memory before they train, 430 MB each, and this machine has 16.0 GB: it may "
        "end them; --workers 29 or fewer have room"
    )
    assert crowded(29, 16_000_000_000) is None
    assert crowded(30, 16_000_000_000) is not None


@pytest.mark.parametrize(("workers", "memory"), [(64, None), (64, 256_000_000_000), (1, 1_000)])
def test_where_nothing_could_be_better_nothing_is_said(workers: int, memory: int | None) -> None:
    assert crowded(workers, memory) is None
