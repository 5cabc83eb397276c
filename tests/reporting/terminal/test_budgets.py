"""What a search says of its short runs at the end."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from nas_attn.analysis import rank
from nas_attn.budget import Budget
from nas_attn.models.catalogue import catalogue
from nas_attn.record import Cost, Outcome, Role, Score, State, TrialRecord
from nas_attn.reporting.terminal.budgets import budget_text
from nas_attn.space import SearchSpace, read_space

SHORT, LONG = Budget(100, 32, 8), Budget(900, 32, 8)
LADDER = (SHORT, LONG)


@pytest.fixture(scope="module")
def space() -> SearchSpace:
    return read_space("unet_attention_small", catalogue(), base_channels=8, image_size=32)


def records(space: SearchSpace, shorts: Sequence[float], *, n_before: int) -> list[TrialRecord]:
    """Each placement is better than the one before in full; so many of them ran in full first."""
    runs = []
    for number, (placement, iou) in enumerate(zip(space.placements(), shorts, strict=False)):
        pair = [(LONG, 0.7 + 0.001 * number), (SHORT, iou)]
        runs += [(placement, *run) for run in (pair if number < n_before else reversed(pair))]
    return [
        TrialRecord(
            number,
            placement,
            budget,
            0,
            Role.PROPOSAL if placement.attended else Role.REFERENCE,
            State.COMPLETE,
            outcome=Outcome(Score(iou, (iou,), 0.0), Cost(1, 1), (), 1.0),
        )
        for number, (placement, budget, iou) in enumerate(runs)
    ]


def said(runs: Sequence[TrialRecord], *, on_proof: bool = True) -> str:
    return budget_text(runs, rank(runs), LADDER, on_proof=on_proof).plain


@pytest.mark.parametrize(
    ("shorts", "n_before", "expected"),
    [
        (
            [0.01 * n for n in range(14)],
            14,
            "short runs are validated (80 % interval): new placements then began with 100 steps",
        ),
        (
            [-0.01 * n for n in range(14)],
            14,
            "short runs are not validated (80 % interval): all placements ran in full",
        ),
        ([0.01 * n for n in range(8)], 8, "It takes 12 placements to validate short runs"),
        ([*(0.01 * n for n in range(12)), *(-0.01 * n for n in range(48))], 12, "refuted it in the end"),
    ],
)
def test_it_says_whether_short_runs_were_proven(
    space: SearchSpace, shorts: Sequence[float], n_before: int, expected: str
) -> None:
    text = said(records(space, shorts, n_before=n_before))

    assert expected in text
    assert f"over {n_before} placements run at both" in text


def test_a_ladder_without_proof_says_what_its_first_rung_dropped(space: SearchSpace) -> None:
    runs = records(space, [-0.01 * n for n in range(40)], n_before=0)

    assert "began with 900 steps in the end, not with 100" in said(runs, on_proof=False)
    assert "proof" not in said(runs), "nothing ran in full first"
