"""The benchmark that asks what a search should learn from, on a world whose truth is known."""

from __future__ import annotations

from dataclasses import replace

import foretelling
import numpy as np
import pytest
from claims import searched
from worlds import WORLDS

from nas_attn.record import TrialRecord


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
    told = foretelling.by_loss(with_losses(records, [3 - 7 * iou for iou in ious_of(records)]))
    np.testing.assert_allclose(ious_of(told), ious_of(records), atol=1e-12)


def test_who_learns_from_a_loss_that_knows_the_truth_foretells_it(records: list[TrialRecord]) -> None:
    """Here each attention is worth half a point, of which the IoU says nothing."""
    truth = np.array([sum(str(spec) != "none" for _, spec in one.placement) / 200 for one in records])
    told = foretelling.by_loss(with_losses(records, (1 - truth).tolist()))
    by_iou, by_loss = (foretelling.foretold(known, 5) for known in (records, told))
    assert np.corrcoef(by_loss, truth)[0, 1] > 0.9
    assert np.corrcoef(by_iou, truth)[0, 1] < 0.6
