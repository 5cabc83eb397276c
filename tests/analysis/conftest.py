"""Records without training: one score for each placement and seed."""

from __future__ import annotations

import sys
import tracemalloc
from collections.abc import Callable, Mapping
from types import FrameType
from typing import Any

import pytest

from nas_attn.budget import Budget
from nas_attn.models.network import UNetConfig
from nas_attn.models.placement import AttentionSpec, Location, Placement
from nas_attn.record import Cost, Outcome, Role, Score, State, TrialRecord

KINDS = ("none", "se", "eca", "cbam")
PLAIN = UNetConfig(in_channels=1, classes=2, depth=3).plain


def numbered(number: int) -> Placement:
    """A placement for each number from 0 (the plain U-Net) up: its digits to base 4."""
    specs = []
    for location, _ in PLAIN:
        number, digit = divmod(number, len(KINDS))
        specs.append((location, AttentionSpec(KINDS[digit])))
    return Placement(tuple(specs))


def place(**kinds: str) -> Placement:
    """The plain U-Net but for some locations: ``place(skip_1="se")``."""
    placement = PLAIN
    for name, text in kinds.items():
        placement = placement.replace(Location.parse(name.replace("_", ".")), AttentionSpec.parse(text))
    return placement


def record(
    number: int,
    placement: Placement,
    seed: int,
    iou: float | None,
    *,
    macs: int = 1000,
    parameters: int = 100,
    latency_ms: float | None = None,
    memory: float | None = None,
    device: str = "",
    steps: int = 100,
    reference: str | None = None,
    state: State = State.COMPLETE,
    role: Role = Role.PROPOSAL,
) -> TrialRecord:
    """A trial; failed or running where ``iou`` is None."""
    if iou is None and state is State.COMPLETE:
        state = State.FAILED
    cost = Cost(parameters, macs, latency_ms, memory, device)
    outcome = None if iou is None else Outcome(Score(iou, (iou, iou), 0.5), cost, (), 1.0)
    return TrialRecord(number, placement, Budget(steps, 64, 8), seed, role, state, reference, outcome)


def table(
    scores: Mapping[Placement, Mapping[int, float]], *, finals: frozenset[int] = frozenset()
) -> list[TrialRecord]:
    """One complete trial for each placement and seed, those of the finals last; MACs rise with its place in the
    table."""
    records: list[TrialRecord] = []
    for order, (placement, by_seed) in enumerate(scores.items()):
        records += [
            record(
                len(records) + more + 10_000 * (seed in finals),
                placement,
                seed,
                iou,
                macs=1000 + 10 * order,
                role=Role.FINALIST if seed in finals else Role.PROPOSAL,
            )
            for more, (seed, iou) in enumerate(by_seed.items())
        ]
    return records


def lines_run(function: Callable[..., object], *arguments: object) -> int:
    """How many lines of Python a call runs, each as often as it runs: its work, whatever else the machine does."""
    count, before = 0, sys.gettrace()

    def note(frame: FrameType, event: str, argument: object) -> Any:
        nonlocal count
        count += 1
        return note

    sys.settrace(note)
    try:
        function(*arguments)
    finally:
        sys.settrace(before)
    return count


def most_bytes(function: Callable[..., object], *arguments: object) -> int:
    """How much memory a call holds at its peak; what NumPy does at once, lines do not show."""
    tracemalloc.start()
    try:
        function(*arguments)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.fixture(name="lines_run", scope="session")
def lines_run_fixture() -> Callable[..., int]:
    return lines_run


@pytest.fixture(name="most_bytes", scope="session")
def most_bytes_fixture() -> Callable[..., int]:
    return most_bytes


@pytest.fixture(name="numbered", scope="session")
def numbered_fixture() -> Callable[[int], Placement]:
    return numbered


@pytest.fixture(name="place", scope="session")
def place_fixture() -> Callable[..., Placement]:
    return place


@pytest.fixture(name="record", scope="session")
def record_fixture() -> Callable[..., TrialRecord]:
    return record


@pytest.fixture(name="table", scope="session")
def table_fixture() -> Callable[..., list[TrialRecord]]:
    return table
