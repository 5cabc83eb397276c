"""A search ends once its question is settled, and begins its finals once these pay."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from nas_attn.analysis import Versus, rank
from nas_attn.analysis.verdict import Decision, verdict_of
from nas_attn.budget import Budget
from nas_attn.models.placement import Placement
from nas_attn.record import Outcome, Role, TrialRecord
from nas_attn.strategy.schedule.looks import FIRST_LOOK, LOOK_EVERY, LOOK_EVERY_FINAL
from nas_attn.study.loop import run_trials
from nas_attn.study.workers.pool import InlinePool, Pool
from nas_attn.training.evaluation import LookupEvaluator

QUIET = {"spread": 0.0, "interaction_share": 0.0, "gap": 0.01}
LOUD = {"spread": 0.1, "interaction_share": 0.0, "gap": 0.01}


def run(studies: Any, pool: Pool) -> tuple[TrialRecord, ...]:
    return run_trials(studies.settings, studies.ledger(), studies.agenda(), pool, lambda records: None)


def settling(studies: Any, **values: object) -> None:
    given = {"strategy": "additive", "trials": 160, "stop": True, "worth": 0.02, **values}
    studies.change(budget=Budget(400, 32, 8), **given)


def test_a_search_ends_where_nothing_gains_what_matters(studies: Any, space: Any) -> None:
    settling(studies)
    records = run(studies, InlinePool(LookupEvaluator(space, **QUIET)))
    assert len(records) in range(FIRST_LOOK, 160, LOOK_EVERY)
    assert studies.agenda().settled_after(records, len(records)) == (len(records), Decision.EQUIVALENT)
    assert run(studies, InlinePool(LookupEvaluator(space, **QUIET))) == records, "the same command adds nothing"

    studies.change(stop=False)
    studies.ledger().write_plan(studies.settings.plan())
    further = run(studies, InlinePool(LookupEvaluator(space, **QUIET)))
    assert len(further) == 160
    assert further[: len(records)] == records


def test_a_search_goes_on_where_something_may(studies: Any, space: Any) -> None:
    """About as much as matters, so that it is neither more than that nor surely less."""
    settling(studies, worth=0.01)
    assert len(run(studies, InlinePool(LookupEvaluator(space, spread=0.01, gap=0.01)))) == 160


def test_a_search_ends_where_a_gain_beyond_what_matters_is_shown(studies: Any, space: Any) -> None:
    """By the finals, which begin before all proposals are made; a study that shall not stop proposes on."""
    settling(studies)
    records = run(studies, InlinePool(LookupEvaluator(space, **LOUD)))
    assert len(records) in range(FIRST_LOOK, 160, LOOK_EVERY_FINAL)
    assert studies.agenda().settled_after(records, len(records)) == (len(records), Decision.BETTER)
    assert records[-1].role is Role.FINALIST
    assert rank(records).rows[0].better_than_baseline is Versus.BETTER
    assert run(studies, InlinePool(LookupEvaluator(space, **LOUD))) == records, "the same command adds nothing"

    studies.change(stop=False)
    studies.ledger().write_plan(studies.settings.plan())
    further = run(studies, InlinePool(LookupEvaluator(space, **LOUD)))
    assert len(further) == 160
    assert further[: len(records)] == records
    assert further[len(records)].role is Role.PROPOSAL


def test_a_search_goes_on_where_runs_are_too_short(studies: Any, space: Any) -> None:
    """Twice the steps bring the plain U-Net some eight points."""
    settling(studies, trials=80)
    assert len(run(studies, InlinePool(LookupEvaluator(space, **{**QUIET, "gap": 0.3})))) == 80


def test_several_workers_end_by_all_trials(studies: Any, space: Any) -> None:
    """What has no say in the next trial has none in whether it is looked at, and one in what is seen then."""
    settling(studies, parallel=2)
    agenda, unseen = studies.agenda(), studies.settings.plan().unseen
    records = run(studies, InlinePool(LookupEvaluator(space, **QUIET)))
    assert len(records) - unseen in range(FIRST_LOOK, 160, LOOK_EVERY)
    assert agenda.settled_after(records, len(records)) == (len(records), Decision.EQUIVALENT)
    assert not agenda.is_over(records, len(records) - 1)
    assert run(studies, InlinePool(LookupEvaluator(space, **QUIET))) == records, "the same command adds nothing"

    before = records[:-unseen]
    assert agenda.n_visible(records) == agenda.n_decisive(records) == len(records), (
        "nothing begins before they end"
    )
    assert agenda.n_visible(records[:-1]) == agenda.n_decisive(records[:-1]) == len(before) - 1


def test_a_search_goes_on_where_the_last_of_several_workers_open_it_again(studies: Any, space: Any) -> None:
    settling(studies, parallel=2, worth=0.01)
    unseen = studies.settings.plan().unseen
    ended = len(run(studies, InlinePool(LookupEvaluator(space, **QUIET))))
    studies.forget()
    records = run(studies, InlinePool(Awakened(LookupEvaluator(space, **QUIET), ended - unseen)))

    assert len(records) > ended
    settled = studies.agenda().settled_after(records, len(records))
    assert settled is None or verdict_of(records, worth=studies.settings.worth).answer is settled.decision
    assert run(studies, InlinePool(LookupEvaluator(space, **QUIET))) == records, "the same command adds nothing"


class Awakened:
    """From some trial on every attention is worth five points.

    Args:
        evaluate: what holds before.
        asleep: trials before it.
    """

    def __init__(self, evaluate: LookupEvaluator, asleep: int) -> None:
        self._evaluate, self._asleep = evaluate, asleep

    def __call__(self, placement: Placement, budget: Budget, seed: int) -> Outcome:
        self._asleep -= 1
        outcome = self._evaluate(placement, budget, seed)
        if self._asleep >= 0 or not placement.attended:
            return outcome
        return replace(outcome, score=replace(outcome.score, iou=outcome.score.iou + 0.05))
