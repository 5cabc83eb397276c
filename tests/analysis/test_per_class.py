"""The IoU of each class: means over the seeds that a placement and the baseline share."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from nas_attn.analysis import rank, ranking_json
from nas_attn.analysis.per_class import mean_ious, named_ious, paired_ious, ranked_ious
from nas_attn.budget import Budget
from nas_attn.metric import METRICS
from nas_attn.models.network import UNetConfig
from nas_attn.models.placement import AttentionSpec, Location
from nas_attn.record import Cost, Outcome, Role, Score, State, TrialRecord
from nas_attn.wording.rankings import classes_sentence

PLAIN = UNetConfig(in_channels=1, classes=3, depth=2).plain
SE = PLAIN.replace(Location.parse("skip.0"), AttentionSpec("se"))
BUDGET = Budget(10, 32, 4)


def run(number, placement, seed, *ious):
    score = Score(sum(one or 0 for one in ious) / len(ious), ious, 0.1)
    outcome = Outcome(score, Cost(1, 1), (), 1.0)
    return TrialRecord(number, placement, BUDGET, seed, Role.FINALIST, State.COMPLETE, outcome=outcome)


@pytest.fixture
def records():
    """A third seed of the baseline has no partner."""
    runs = [(PLAIN, 0, 0.90, 0.40, None), (PLAIN, 1, 0.92, 0.50, None), (PLAIN, 2, 0.10, 0.10, None)]
    runs += [(SE, 0, 0.91, 0.60, None), (SE, 1, 0.93, 0.70, None)]
    return [run(number, *one) for number, one in enumerate(runs)]


def test_a_mean_is_over_all_complete_runs(records):
    failed = replace(records[0], state=State.FAILED, outcome=None)
    assert mean_ious([failed, *records[1:3]], PLAIN) == (pytest.approx(0.51), pytest.approx(0.30), None)
    assert mean_ious([], PLAIN) == ()


def test_a_placement_is_compared_over_the_seeds_that_the_baseline_has_too(records):
    ranking = rank(records)
    row = next(row for row in ranking.rows if row.placement == SE)
    found, plain = paired_ious(records, row, ranking)
    assert found == (pytest.approx(0.92), pytest.approx(0.65), None)
    assert plain == (pytest.approx(0.91), pytest.approx(0.45), None)


def test_the_json_of_a_ranking_names_the_classes(records):
    ranking = rank(records)
    rows = json.loads(ranking_json(ranking, None, ranked_ious(records, ranking, ("ground", "cell", "rare"))))
    (se,) = [row for row in rows if row["placement_id"] == SE.id]
    assert se["iou_per_class"] == {"ground": pytest.approx(0.92), "cell": pytest.approx(0.65), "rare": None}
    assert "iou_per_class" not in json.loads(ranking_json(ranking))[0]


def test_a_sentence_tells_them():
    iou, dice = METRICS["mean-iou"], METRICS["mean-dice"]
    given = ("ground", "cell", "rare"), (0.92, 0.65, None), (0.91, 0.45, None), "number 1"
    said = classes_sentence(*given, iou)
    assert said == "IoU of a class x100, number 1 (baseline): ground 92.0 (91.0), cell 65.0 (45.0)."
    assert classes_sentence((), (), (), "number 1", iou) == ""
    said = classes_sentence(*given, dice)  # 2 * 0.65 / 1.65 and so on
    assert said == "Dice of a class x100, number 1 (baseline): ground 95.8 (95.3), cell 78.8 (62.1)."


def test_names_stand_by_their_values():
    assert named_ious((0.5, None), ("a", "b")) == {"a": 0.5, "b": None}
