"""What a search tells before it proposes anything."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from nas_attn.budget import Budget
from nas_attn.models.placement import Placement
from nas_attn.record import Outcome, TrialRecord
from nas_attn.reporting.progress.first_look import FirstLook
from nas_attn.reporting.progress.pace import Pace
from nas_attn.study.loop import run_trials
from nas_attn.study.workers.pool import InlinePool
from nas_attn.training.evaluation import LookupEvaluator
from tests.study import conftest

settings, space, costs, evaluator = conftest.settings, conftest.space, conftest.costs, conftest.evaluator
studies, quiet_optuna = conftest.studies, conftest.quiet_optuna


def told(studies: Any, evaluate: Callable[..., Outcome], trials: int = 120) -> list[tuple[int, str]]:
    """The sentences, each with the number of trials that had ended by then."""
    studies.change(trials=trials, n_screening_seeds=4, parallel=2)
    agenda = studies.agenda()
    budget = studies.settings.budget
    pace = Pace(trials=trials, workers=2, first=budget, forecast=9.0, top=lambda _: budget)
    first_look = FirstLook(studies.settings, agenda, pace)
    said: list[tuple[int, str]] = []

    def listen(records: Sequence[TrialRecord]) -> None:
        ended = sum(record.outcome is not None for record in records)
        said.extend((ended, sentence) for sentence in first_look(records))

    run_trials(studies.settings, studies.ledger(), agenda, InlinePool(evaluate), listen)
    return said


def growing(evaluator: LookupEvaluator, factor: float) -> Callable[..., Outcome]:
    """Differences to the baseline grow so many times by the doubling; a run of 400 steps takes 18 s."""

    def evaluate(placement: Placement, budget: Budget, seed: int) -> Outcome:
        found = evaluator(placement, Budget(100_000, 32, 8), seed)
        gain = 0.02 * bool(placement.attended) * (factor if budget.steps > 400 else 1.0)
        noise = 0.002 * evaluator._normal("own", budget.steps, seed, placement)
        score = replace(found.score, iou=0.6 + gain + noise)
        return replace(found, score=score, seconds=18.0 * budget.steps / 400)

    return evaluate


def test_what_a_search_can_see_is_told_after_nine_runs_and_of_its_budget_after_eighteen(
    studies: Any, evaluator: LookupEvaluator
) -> None:
    (noise_at, sees), (budget_at, budget) = told(studies, growing(evaluator, 1.0))
    assert noise_at == 9
    assert budget_at == 18
    assert sees.startswith("120 trials of this length can detect a gain of ")
    assert sees.endswith(" min.")
    assert " would take about " in sees
    assert budget.startswith("Doubling the 400 steps changes what ")
    assert "gain on average by " in budget


def test_a_budget_that_is_too_short_is_told_before_the_proposals_with_the_way_out(
    studies: Any, evaluator: LookupEvaluator
) -> None:
    """120 trials of 36 s by two workers are 36 min."""
    *_, (first, budget), (second, way_out) = told(studies, growing(evaluator, 3.0))
    assert first == second == 18
    assert ": too short to resolve differences of " in budget
    assert "will claim nothing" in way_out
    assert "It needs 800 steps or more: 120 trials of 800 need about 36 min here." in way_out
    assert "--steps 800 --as-new" in way_out
    assert "--budget auto --as-new" in way_out


def test_a_budget_that_was_found_is_told_with_the_time_that_it_takes(
    studies: Any, evaluator: LookupEvaluator
) -> None:
    """120 trials of 400 steps, 18 s each, by two workers are 18 min."""
    studies.change(find_budget=True, worth=0.005)
    said = [sentence for _, sentence in told(studies, growing(evaluator, 1.0))]
    assert "Found: trials of 400 steps; 120 of them take about 18 min here." in said
    assert not any("search again" in sentence for sentence in said)


def test_a_budget_that_time_cut_short_is_told_with_what_is_missing(
    studies: Any, evaluator: LookupEvaluator
) -> None:
    """A hundred trials of 800 steps, 36 s each, by two workers are 30 min, and 20 min are given."""
    studies.change(find_budget=True, worth=0.005, timeout=1200.0)
    said = [sentence for _, sentence in told(studies, growing(evaluator, 3.0))]
    assert "Found: trials of 400 steps; 120 of them take about 18 min here." in said
    (missing,) = [sentence for sentence in said if "a longer --timeout" in sentence]
    assert "100 trials of 800 steps would take about 30 min, and the limit is 20 min" in missing


def test_without_finals_nothing_is_said_of_what_they_see(studies: Any, evaluator: LookupEvaluator) -> None:
    studies.change(finalists=0.0)
    ((_, budget),) = told(studies, growing(evaluator, 1.0))
    assert budget.startswith("Doubling the 400 steps ")


def test_nothing_is_told_twice_when_a_search_goes_on(studies: Any, evaluator: LookupEvaluator) -> None:
    assert len(told(studies, growing(evaluator, 1.0))) == 2
    assert len(told(studies, growing(evaluator, 1.0), trials=140)) == 2, "once by each search"


def test_a_tiny_search_says_only_that_its_baseline_is_unfinished(studies: Any, evaluator: LookupEvaluator) -> None:
    """Its shortfall halves every 300 steps: 12 points after 400 steps, 5 after 800."""
    said = told(studies, replace(evaluator, seed_noise=0.0, run_noise=0.0), trials=20)
    assert said[0][1].startswith("Twice the 400 steps change the baseline by +7.")
    assert "will claim nothing" in said[1][1]
    assert len(said) == 2


@pytest.mark.parametrize("trials", [30])
def test_a_small_search_tells_what_it_can_see(studies: Any, evaluator: LookupEvaluator, trials: int) -> None:
    ended, sees = told(studies, growing(evaluator, 1.0), trials)[0]
    assert ended < trials
    assert "30 trials of this length can detect" in sees
