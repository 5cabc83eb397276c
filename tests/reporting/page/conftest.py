"""Studies without training: a scored run for each placement and seed, and the facts of a report on them."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest

from nas_attn.analysis import rank
from nas_attn.analysis.verdict import verdict_of
from nas_attn.budget import Budget
from nas_attn.models.network import UNetConfig
from nas_attn.models.placement import AttentionSpec, Placement
from nas_attn.record import Cost, CurvePoint, Outcome, Role, Score, State, TrialRecord
from nas_attn.reporting.page import StudyFacts

NETWORK = UNetConfig(in_channels=1, classes=2, depth=3, base_channels=8)
KINDS = ("none", "se", "cbam", "scse")
BUDGET = Budget(100, 64, 8)


def record(
    number: int,
    placement: Placement,
    seed: int,
    iou: float,
    *,
    macs: int = 1000,
    losses: tuple[float, ...] = (1.0, 0.5),
    reference: str | None = None,
    budget: Budget = BUDGET,
) -> TrialRecord:
    """A complete trial; its losses lie evenly over the steps."""
    steps = [budget.steps * (index + 1) // len(losses) for index in range(len(losses))]
    curve = tuple(CurvePoint(step, loss) for step, loss in zip(steps, losses, strict=True))
    outcome = Outcome(Score(iou, (iou, iou), losses[-1]), Cost(100, macs), curve, 1.0)
    role = Role.PROPOSAL if reference is None else Role.REFERENCE
    return TrialRecord(number, placement, budget, seed, role, State.COMPLETE, reference, outcome, version="0.1.0")


def records_of(n_placements: int, seeds_of_leaders: int = 3) -> list[TrialRecord]:
    """The plain U-Net and others, each with one run; the first five with further seeds."""
    generator = random.Random(0)
    chosen = {NETWORK.plain: None}
    while len(chosen) < n_placements:
        kinds = ((location, AttentionSpec(generator.choice(KINDS))) for location in NETWORK.locations)
        chosen[Placement(tuple(kinds))] = None
    found: list[TrialRecord] = []
    for index, placement in enumerate(chosen):
        level, macs = 0.6 + 0.1 * generator.random(), 1000 + generator.randrange(1000) * bool(index)
        for seed in range(seeds_of_leaders if index < 5 else 1):
            iou = level + 0.01 * seed + 0.002 * generator.random()
            reference = {0: "plain", 1: "a reference"}.get(index)
            found.append(record(len(found), placement, seed, iou, macs=macs, reference=reference))
    return found


@pytest.fixture(scope="session")
def facts_of() -> Callable[..., StudyFacts]:
    """Of a study of so many placements."""

    def make(n_placements: int, **fields: object) -> StudyFacts:
        records = tuple(records_of(n_placements)) if n_placements else ()
        given: dict[str, Any] = {"study": "made-up", "network": NETWORK, "records": records}
        given |= {"ranking": rank(records), **fields}
        known, ranking = (given["records"], given.get("verifications", ())), given.pop("ranking")
        return StudyFacts(**{"verdict": verdict_of(*known, ranking=ranking), **given})  # type: ignore[arg-type]

    return make


@pytest.fixture(scope="session")
def run() -> Callable[..., TrialRecord]:
    """A complete trial."""
    return record
