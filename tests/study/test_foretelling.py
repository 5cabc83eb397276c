"""The benchmarks that foretell runs by other runs, where the truth is known."""

from __future__ import annotations

from dataclasses import replace

import across_sets
import foretelling
import numpy as np
import pytest
from claims import BUDGET, searched
from worlds import WORLDS

from nas_attn.models.placement import NONE, AttentionSpec, Location, Placement, Stage
from nas_attn.record import Cost, CurvePoint, Outcome, Role, Score, State, TrialRecord

SE = AttentionSpec("se")


@pytest.fixture(scope="module")
def records() -> list[TrialRecord]:
    """Of a study that a ranking rests on."""
    return foretelling.usable(searched(WORLDS["null-loud"], 0, 70)[1])


def with_losses(records: list[TrialRecord], losses: list[float]) -> list[TrialRecord]:
    """The same runs with other losses."""
    found = []
    for record, loss in zip(records, losses, strict=True):
        assert record.outcome is not None
        score = replace(record.outcome.score, loss=loss)
        found.append(replace(record, outcome=replace(record.outcome, score=score)))
    return found


def ious_of(records: list[TrialRecord]) -> list[float]:
    return [record.outcome.score.iou for record in records if record.outcome is not None]


def test_a_loss_is_put_on_the_scale_of_the_iou(records: list[TrialRecord]) -> None:
    known = with_losses(records, [3 - 7 * iou for iou in ious_of(records)])
    told = foretelling.told_by(known, foretelling.negative_loss)
    np.testing.assert_allclose(ious_of(told), ious_of(records), atol=1e-12)


def test_who_learns_from_a_loss_that_knows_the_truth_foretells_it(records: list[TrialRecord]) -> None:
    """Here each attention is worth half a point, of which the IoU says nothing."""
    truth = np.array([sum(str(spec) != "none" for _, spec in one.placement) / 200 for one in records])
    told = foretelling.told_by(with_losses(records, (1 - truth).tolist()), foretelling.negative_loss)
    by_iou, by_loss = (foretelling.foretold(known, 5) for known in (records, told))
    assert np.corrcoef(by_loss, truth)[0, 1] > 0.9
    assert np.corrcoef(by_iou, truth)[0, 1] < 0.6


def test_what_sets_of_different_depth_say_is_of_one_network() -> None:
    """The levels that one lacks hold no attention; a set foretells another whose truth is the same."""
    shallow, deep = (across_sets.DataSet(name, tuple(made(depth))) for name, depth in (("a", 2), ("b", 3)))
    one, other = across_sets.of_one_network([shallow, deep])
    assert {str(place) for place, _ in one.records[0].placement.specs} == {"skip.0", "skip.1", "skip.2"}
    foreseen = across_sets.foretold_by(one.records, other)
    found = np.array(ious_of(list(other.records)))
    assert np.corrcoef(foreseen, found)[0, 1] > 0.9


def made(depth: int) -> list[TrialRecord]:
    """Every placement of SE at the skips, worth a point at the first and nothing elsewhere, under two seeds."""
    placements = [
        Placement.of({Location(Stage.SKIP, level): SE if bits >> level & 1 else NONE for level in range(depth)})
        for bits in range(2**depth)
    ]
    noise = np.random.default_rng(depth).normal(0, 0.0005, (2, len(placements)))
    return [
        TrialRecord(
            number=seed * len(placements) + row,
            placement=placement,
            budget=BUDGET,
            seed=seed,
            role=Role.PROPOSAL,
            state=State.COMPLETE,
            outcome=Outcome(
                Score(0.5 + 0.01 * (placement[Location(Stage.SKIP)] == SE) + noise[seed, row], (0.5, 0.5), 0.5),
                Cost(1, 1),
                (CurvePoint(1, 0.5),),
                1.0,
            ),
        )
        for seed in range(2)
        for row, placement in enumerate(placements)
    ]
