"""The search loop: the same study whatever the timing, whoever is killed when."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import pytest

from nas_attn.budget import Budget
from nas_attn.errors import DivergedError, StudyError
from nas_attn.models.placement import Placement
from nas_attn.record import Failure, Outcome, Role, State, TrialRecord
from nas_attn.space import SearchSpace
from nas_attn.strategy.evaluation import Evaluation
from nas_attn.study.loop import run_trials
from nas_attn.study.workers.pool import Finished, InlinePool, Pool
from nas_attn.training.evaluation import LookupEvaluator


def silent(records: Sequence[TrialRecord]) -> None:
    """A listener that does not care."""


def run(studies: Any, pool: Pool) -> tuple[TrialRecord, ...]:
    return run_trials(studies.settings, studies.ledger(), studies.agenda(), pool, silent)


def essence(records: Sequence[TrialRecord]) -> list[tuple[object, ...]]:
    """All of a trial but its times and its worker."""
    return [
        (
            record.number,
            record.placement,
            record.budget,
            record.seed,
            record.role,
            record.state,
            record.outcome and record.outcome.score,
        )
        for record in records
    ]


class ShufflingPool:
    """Finishes what it was given in a random order."""

    def __init__(self, evaluator: LookupEvaluator, size: int, seed: int) -> None:
        self.size = size
        self._evaluator = evaluator
        self._random = random.Random(seed)
        self._given: list[tuple[int, Evaluation]] = []

    def submit(self, number: int, evaluation: Evaluation) -> None:
        self._given.append((number, evaluation))

    def wait(self, seconds: float | None = None) -> list[Finished]:
        number, one = self._given.pop(self._random.randrange(len(self._given)))
        return [Finished(number, self._evaluator(one.placement, one.budget, one.seed), "shuffling")]


class MortalPool(ShufflingPool):
    """Dies after some evaluations, with others under way."""

    def __init__(self, evaluator: LookupEvaluator, size: int, seed: int, life: int) -> None:
        super().__init__(evaluator, size, seed)
        self._life = life

    def wait(self, seconds: float | None = None) -> list[Finished]:
        self._life -= 1
        if self._life < 0:
            raise KeyboardInterrupt
        return super().wait(seconds)


def test_a_study_has_its_trials_and_no_evaluation_twice(studies: Any, evaluator: LookupEvaluator) -> None:
    records = run(studies, InlinePool(evaluator))

    assert len(records) == 40
    assert [record.number for record in records] == list(range(40))
    assert all(record.state is State.COMPLETE for record in records)
    assert len({(record.placement, record.budget, record.seed) for record in records}) == 40


def test_references_come_first_then_proposals_then_finalists(studies: Any, evaluator: LookupEvaluator) -> None:
    roles = [record.role for record in run(studies, InlinePool(evaluator))]

    assert roles == sorted(roles, key=[Role.REFERENCE, Role.PROPOSAL, Role.FINALIST].index)
    assert Counter(roles)[Role.FINALIST] == 10
    agenda = studies.agenda()
    assert Counter(roles)[Role.REFERENCE] == agenda.course(()).n_references + agenda.n_common


def test_finalists_and_the_plain_unet_share_further_seeds(studies: Any, evaluator: LookupEvaluator) -> None:
    records = run(studies, InlinePool(evaluator))

    further = [record for record in records if record.role is Role.FINALIST]
    plain = {record.seed for record in further if not record.placement.attended}
    raced = {record.placement for record in further if record.placement.attended}
    assert len(plain) >= 3
    assert raced
    assert {record.seed for record in further} <= plain | {0}


def test_proposals_take_the_screening_seeds_in_turn_and_finalists_others(
    studies: Any, evaluator: LookupEvaluator
) -> None:
    studies.change(strategy="additive", seed=3, n_screening_seeds=4, trials=60)
    records = run(studies, InlinePool(evaluator))

    proposals = [record.seed for record in records if record.role is Role.PROPOSAL]
    assert proposals[:24] == [3] * 8 + [3, 4] * 4 + [4, 5, 3, 4, 5, 3, 4, 5]
    assert proposals[24:] == ([3, 4, 5, 6] * 9)[: len(proposals) - 24]
    assert len(proposals) == studies.agenda().n_proposals(studies.agenda().course(()))
    assert min(record.seed for record in records if record.role is Role.FINALIST) == 7
    assert len({(record.placement, record.budget, record.seed) for record in records}) == 60


def test_the_plain_unet_runs_with_a_seed_before_any_proposal(studies: Any, evaluator: LookupEvaluator) -> None:
    studies.change(n_screening_seeds=3, trials=60, parallel=2)
    ran: set[int] = set()
    for record in run(studies, InlinePool(evaluator)):
        if not record.placement.attended and record.budget == studies.settings.budget:
            ran.add(record.seed)
        assert record.seed in ran


def test_a_small_study_spends_its_trials_on_one_seed(studies: Any, evaluator: LookupEvaluator) -> None:
    studies.change(n_screening_seeds=4, trials=20)
    records = run(studies, InlinePool(evaluator))

    assert {record.seed for record in records if record.role is Role.PROPOSAL} == {0}
    assert Counter(record.role for record in records)[Role.FINALIST] == 5


def test_equal_settings_give_equal_studies(studies: Any, evaluator: LookupEvaluator) -> None:
    first = run(studies, InlinePool(evaluator))
    studies.forget()

    assert essence(run(studies, InlinePool(evaluator))) == essence(first)


@pytest.mark.parametrize("strategy", ["random", "tpe"])
def test_the_order_in_which_workers_finish_changes_nothing(
    studies: Any, evaluator: LookupEvaluator, strategy: str
) -> None:
    studies.change(strategy=strategy, trials=30)
    first = run(studies, InlinePool(evaluator, size=3))
    for seed in range(2):
        studies.forget()

        assert essence(run(studies, ShufflingPool(evaluator, 3, seed))) == essence(first)


@pytest.mark.parametrize("strategy", ["random", "tpe", "nsga2", "additive"])
def test_a_study_killed_five_times_ends_as_an_undisturbed_one(
    studies: Any, evaluator: LookupEvaluator, strategy: str
) -> None:
    studies.change(strategy=strategy, trials=30)
    undisturbed = run(studies, InlinePool(evaluator, size=2))
    studies.forget()
    for life in (0, 3, 1, 7, 5):
        with pytest.raises(KeyboardInterrupt):
            run(studies, MortalPool(evaluator, 2, seed=life, life=life))

    assert essence(run(studies, InlinePool(evaluator, size=2))) == essence(undisturbed)


def test_a_trial_under_way_at_a_kill_is_done_in_its_place(studies: Any, evaluator: LookupEvaluator) -> None:
    with pytest.raises(KeyboardInterrupt):
        run(studies, MortalPool(evaluator, 2, seed=0, life=4))
    before = studies.ledger().records()
    under_way = [record.number for record in before if record.state is State.RUNNING]

    after = run(studies, InlinePool(evaluator, size=2))

    assert under_way
    assert all(after[number].placement == before[number].placement for number in under_way)
    assert all(after[number].state is State.COMPLETE for number in under_way)


def test_a_study_can_grow(studies: Any, evaluator: LookupEvaluator) -> None:
    first = run(studies, InlinePool(evaluator))
    studies.change(trials=60)
    grown = run(studies, InlinePool(evaluator))

    assert essence(grown[:40]) == essence(first)
    assert len({(record.placement, record.budget, record.seed) for record in grown}) == 60


def test_a_failed_trial_keeps_its_reason_and_is_not_repeated(studies: Any, space: SearchSpace) -> None:
    records = run(studies, InlinePool(LookupEvaluator(space, failure_share=0.3)))

    failed = [record for record in records if record.state is State.FAILED]
    assert failed
    assert all("became nan" in (record.failure or "") for record in failed)
    assert max(Counter((record.placement, record.seed) for record in failed).values()) == 1


def test_a_score_that_is_not_finite_is_a_failure(studies: Any, evaluator: LookupEvaluator) -> None:
    def sometimes_nan(placement: Placement, budget: Budget, seed: int) -> Outcome:
        outcome = evaluator(placement, budget, seed)
        if not placement.attended:
            return outcome
        object.__setattr__(outcome.score, "iou", float("nan"))
        return outcome

    studies.change(trials=6)
    records = run(studies, InlinePool(sometimes_nan))

    assert {record.failure for record in records if record.placement.attended} == {"the IoU is nan"}


def test_without_the_plain_unet_there_is_no_study(studies: Any) -> None:
    def broken(placement: Placement, budget: Budget, seed: int) -> Outcome:
        raise DivergedError("the loss is nan by step 10")

    for _ in range(2):  # also when the command is repeated
        with pytest.raises(StudyError, match=r"the baseline cannot be trained.*nan by step 10"):
            run(studies, InlinePool(broken))


def test_a_small_space_is_searched_to_its_end_then_repeated(studies: Any, evaluator: LookupEvaluator) -> None:
    space = studies.settings.space
    tiny = tuple(
        (location, specs[: 2 if index in (3, 4, 5) else 1])
        for index, (location, specs) in enumerate(space.choices)
    )
    studies.change(space=replace(space, choices=tiny), trials=30)
    records = run(studies, InlinePool(evaluator))

    screened = {record.placement for record in records if record.budget == studies.settings.budget}
    assert len(screened) == studies.settings.space.size
    assert len({(record.placement, record.budget, record.seed) for record in records}) == 30


def test_a_ladder_is_climbed_alike_whatever_the_timing(studies: Any, evaluator: LookupEvaluator) -> None:
    studies.change(budget=Budget(1800, 32, 8), ladder=(200, 600), strategy="additive", trials=70)
    first = run(studies, InlinePool(evaluator, size=2))
    studies.forget()

    assert essence(run(studies, ShufflingPool(evaluator, 2, seed=1))) == essence(first)


@pytest.mark.parametrize("life", [1, 5, 11, 13, 40])
def test_a_search_for_the_budget_goes_on_where_it_was_killed(
    studies: Any, evaluator: LookupEvaluator, life: int
) -> None:
    quiet = replace(evaluator, seed_noise=0.001, run_noise=0.001)
    studies.change(budget=Budget(100, 32, 8), find_budget=True, trials=50)
    first = run(studies, InlinePool(quiet, size=2))
    studies.forget()
    with pytest.raises(KeyboardInterrupt):
        run(studies, MortalPool(quiet, 2, seed=life, life=life))

    assert essence(run(studies, ShufflingPool(quiet, 2, seed=life))) == essence(first)


@pytest.mark.parametrize("strategy", ["random", "additive"])
def test_a_fault_of_the_machine_is_no_trial_and_changes_nothing(
    studies: Any, evaluator: LookupEvaluator, strategy: str
) -> None:
    """The second time in a row it ends the search; once it is put right, the study comes out as without it."""
    studies.change(strategy=strategy, trials=30)
    undisturbed = run(studies, InlinePool(evaluator))
    studies.forget()
    for life in (0, 9, 11):
        with pytest.raises(StudyError, match=r"trial \d+ has failed 2 times because of the"):
            run(studies, InlinePool(OutOfOrder(evaluator, life)))
        assert not any(record.state is State.FAILED for record in studies.ledger().records())

    assert essence(run(studies, InlinePool(evaluator))) == essence(undisturbed)


@dataclass
class OutOfOrder:
    """Cannot read its images any more after some evaluations."""

    evaluator: LookupEvaluator
    life: int

    def __call__(self, placement: Placement, budget: Budget, seed: int) -> Outcome:
        self.life -= 1
        if self.life < 0:
            raise OSError(5, "Input/output error", "pixels.npy")
        return self.evaluator(placement, budget, seed)


def test_a_fault_of_the_machine_that_passes_is_not_noticed(studies: Any, evaluator: LookupEvaluator) -> None:
    calls = Counter[Placement]()

    def flaky(placement: Placement, budget: Budget, seed: int) -> Outcome:
        calls[placement] += 1
        if calls[placement] == 1:
            raise OSError(116, "Stale file handle")
        return evaluator(placement, budget, seed)

    undisturbed = run(studies, InlinePool(evaluator))
    studies.forget()

    assert essence(run(studies, InlinePool(flaky))) == essence(undisturbed)


def test_a_pool_that_hands_on_a_fault_writes_no_trial_down(studies: Any, evaluator: LookupEvaluator) -> None:
    class Honest(ShufflingPool):
        def wait(self, seconds: float | None = None) -> list[Finished]:
            number, _ = self._given.pop()
            return [Finished(number, Failure("the disk is gone", cause="disk"), "honest")]

    with pytest.raises(
        StudyError, match=r"because of the disk here, not because of its placement: the disk is gone"
    ):
        run(studies, Honest(evaluator, 1, 0))
    assert [record.state for record in studies.ledger().records()] == [State.RUNNING]
