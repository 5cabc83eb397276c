"""Seeds of a verification that are lost and replaced."""

from __future__ import annotations

import pytest

from nas_attn.budget import Budget
from nas_attn.models.network import UNetConfig
from nas_attn.models.placement import AttentionSpec, Location
from nas_attn.record import Cost, Outcome, Role, Score, State, TrialRecord
from nas_attn.study.claim import Claim
from nas_attn.study.verified import n_with_replacements, verified_claim, wanted_evaluations

PLAIN = UNetConfig(in_channels=1, classes=2, depth=3).plain
WINNER = PLAIN.replace(Location.parse("skip.0"), AttentionSpec("se"))
REFERENCE = PLAIN.replace(Location.parse("skip.1"), AttentionSpec("se"))
CLAIM = Claim(WINNER, REFERENCE, "se", Budget(100, 64, 8), 1000, None, 0.01)
WOBBLE = (0.0, 0.002, -0.001, 0.001, -0.002, 0.0015, -0.0005)


def played(n_seeds, bad):
    """Run until nothing is wanted any more; ``bad`` runs collapse, or fail where they say so."""
    records = []
    while True:
        begun = {(record.placement, record.seed) for record in records}
        wanted = wanted_evaluations(records, CLAIM, n_seeds, ablate=False)
        left = [one for one in wanted if (one.placement, one.seed) not in begun]
        if not left:
            return records
        for one in left:
            index = one.seed - 1000
            how = bad.get((one.placement, index))
            iou = 0.8 + (0.012 + WOBBLE[index % 7] if one.placement == WINNER else 0.0) + 0.001 * (index % 3)
            iou -= 0.3 if how == "collapsed" else 0.0
            outcome = None if how == "failed" else Outcome(Score(iou, (iou, iou), 0.5), Cost(1, 1), (), 1.0)
            state = State.FAILED if how == "failed" else State.COMPLETE
            records.append(
                TrialRecord(len(records), one.placement, one.budget, one.seed, Role.FINALIST, state, None, outcome)
            )


@pytest.mark.parametrize("how", ["collapsed", "failed"])
@pytest.mark.parametrize("placement", [PLAIN, WINNER], ids=["plain", "winner"])
def test_a_seed_with_which_the_plain_unet_or_the_winner_is_lost_is_replaced(placement, how):
    records = played(5, {(placement, 2): how})
    assert sorted({record.seed for record in records}) == list(range(1000, 1006))
    assert len({(record.placement, record.seed) for record in records}) == len(records) == 18
    result = verified_claim(records, CLAIM)
    assert result.to_baseline.n_seeds == 5
    assert str(result.verdict) == "confirmed"


def test_a_reference_that_collapses_costs_no_further_seed():
    assert len(played(5, {(REFERENCE, 2): "collapsed"})) == 15


def test_more_seeds_later_run_only_what_is_missing():
    records = played(5, {(PLAIN, 2): "collapsed"})
    wanted = wanted_evaluations(records, CLAIM, 6, ablate=False)
    begun = {(record.placement, record.seed) for record in records}
    assert {one.seed for one in wanted if (one.placement, one.seed) not in begun} == {1006}


@pytest.mark.parametrize(
    ("lost", "number"),
    [(set(), 5), ({12}, 6), ({12, 15}, 7), ({99}, 5), (set(range(10, 30)), 7), ({3}, 5)],
    ids=["none", "one", "the replacement too", "later", "all", "of the search"],
)
def test_lost_seeds_are_replaced_up_to_a_limit(lost, number):
    assert n_with_replacements(10, 5, lost) == number
