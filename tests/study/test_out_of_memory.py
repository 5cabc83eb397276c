"""Trials that run out of memory: recorded with what they needed, learned from, not repeated; split if allowed."""

from __future__ import annotations

import itertools
import math
import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import optuna
import pytest
import torch

from nas_attn.budget import Budget
from nas_attn.errors import StudyError
from nas_attn.losses import ADAMW
from nas_attn.models.attention import _attend
from nas_attn.models.catalogue import catalogue
from nas_attn.models.placement import AttentionSpec, Location, Placement
from nas_attn.record import Outcome, OutOfMemory, Role, State, TrialRecord
from nas_attn.space import SearchSpace, read_space
from nas_attn.strategy.evaluation import Evaluation
from nas_attn.study.database.ledger import Ledger
from nas_attn.study.loop import run_trials
from nas_attn.study.workers.attempt import attempt
from nas_attn.study.workers.pool import InlinePool
from nas_attn.training import Recipe
from nas_attn.training.evaluation import CostTable, DataSource, LookupEvaluator, MemoryTable, TrainingEvaluator
from nas_attn.training.metrics import machine_bytes
from tests.scarce import MIB, Scarce, scarce

BUDGET = Budget(2, 16, 4)


def small(norm: str = "batch") -> SearchSpace:
    space = read_space("unet_attention", catalogue(), base_channels=4, image_size=16, classes=3)
    return replace(space, network=replace(space.network, norm=norm))


def trained(space: SearchSpace, **options: Any) -> TrainingEvaluator:
    source = DataSource(image_size=16, n_train=8, n_val=4)
    return TrainingEvaluator(space.network, source, **options)


def estimates(space: SearchSpace, budget: Budget) -> MemoryTable:
    return MemoryTable(space.network, budget, CostTable(space.network, budget.image_size, budget.image_size))


def run(studies: Any, pool: InlinePool) -> tuple[TrialRecord, ...]:
    return run_trials(studies.settings, studies.ledger(), studies.agenda(), pool, lambda records: None)


def with_room(
    evaluator: LookupEvaluator, held: Callable[[Placement], float], limit: float
) -> Callable[[Placement, Budget, int], Outcome]:
    """Looks up, but for what takes more than there is."""

    def evaluate(placement: Placement, budget: Budget, seed: int) -> Outcome:
        if held(placement) > limit:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB.")
        return evaluator(placement, budget, seed)

    return evaluate


@pytest.mark.parametrize("strategy", ["additive", "random", "tpe"])
@pytest.mark.parametrize("parallel", [1, 2])
def test_what_takes_as_much_as_the_smallest_that_ran_out_is_not_proposed_again(
    studies: Any, evaluator: LookupEvaluator, strategy: str, parallel: int
) -> None:
    """The same study without learning runs out of memory more often."""
    studies.change(strategy=strategy, trials=60, parallel=parallel, finalists=0.1)
    held = estimates(studies.settings.space, studies.settings.budget)
    sizes = sorted(held(placement) for placement in studies.settings.space.placements())
    short = with_room(evaluator, held, sizes[len(sizes) // 2])
    records = run(studies, InlinePool(short, size=parallel))

    unseen = 0 if parallel == 1 else 3 * parallel - 1
    for record in records:
        if record.role is not Role.PROPOSAL:
            continue
        seen = records[: max(0, record.number - unseen)]
        ran_out = [held(one.placement) for one in seen if one.shortage]
        assert not ran_out or held(record.placement) < min(ran_out)
    assert any(record.shortage for record in records)
    assert len([record for record in records if record.state is State.COMPLETE]) > 40
    assert len({(record.placement, record.budget, record.seed) for record in records}) == 60


def test_a_study_that_is_stopped_goes_on_with_what_it_has_learned(
    studies: Any, evaluator: LookupEvaluator
) -> None:
    held = estimates(studies.settings.space, studies.settings.budget)
    limit = sorted(held(placement) for placement in studies.settings.space.placements())[150]
    short = with_room(evaluator, held, limit)
    studies.change(strategy="additive", trials=50)
    whole = run(studies, InlinePool(short))
    calls = itertools.count()

    def stopped(placement: Placement, budget: Budget, seed: int) -> Outcome:
        if next(calls) == 31:
            raise KeyboardInterrupt
        return short(placement, budget, seed)

    studies.forget()
    with pytest.raises(KeyboardInterrupt):
        run(studies, InlinePool(stopped))

    assert any(record.shortage for record in whole[:31])
    assert [one.placement for one in run(studies, InlinePool(short))] == [one.placement for one in whole]


def test_real_trainings_on_a_small_device_are_recorded_as_infeasible(
    studies: Any, tmp_path: Path, space: SearchSpace
) -> None:
    """Tensors are counted as they are made; the limit lies between what placements take."""
    space = small()
    held = estimates(space, BUDGET)
    pam = next(spec for location, specs in space.choices for spec in specs if spec.kind == "pam")
    dear = space.plain.replace(Location.parse("encoder.0"), pam)
    limit = (held(space.plain) + held(dear)) / 2 / MIB
    evaluator = Scarce(trained(space, recipe=Recipe(optimiser=ADAMW)), limit)  # two moments, as is estimated
    plain, short = (attempt(evaluator, Evaluation(one, BUDGET, 0, Role.PROPOSAL)) for one in (space.plain, dear))

    assert isinstance(plain, Outcome)
    assert not isinstance(short, Outcome)
    assert short.reason.startswith("out of memory: it takes at least ")
    assert "CUDA out of memory. Tried to allocate" in short.reason
    assert short.shortage is not None
    assert short.shortage.capacity_mib == pytest.approx(torch_capacity(), rel=0.01)

    ledger = Ledger.create(f"sqlite:///{tmp_path}/study.db", "s", {}, {}, "macs")
    begun = ledger.begin(Evaluation(dear, BUDGET, 0, Role.PROPOSAL), space, version="1")
    assert begun is not None
    assert ledger.fail(begun, short, "here") is not None
    (record,) = Ledger.open(f"sqlite:///{tmp_path}/study.db", "s").records()
    assert record.shortage == short.shortage
    assert record.failure == short.reason
    (trial,) = optuna.load_study(study_name="s", storage=f"sqlite:///{tmp_path}/study.db").trials
    assert trial.user_attrs["infeasible"] == str(short.shortage)


@pytest.fixture
def plain_attention(monkeypatch: pytest.MonkeyPatch) -> None:
    """Position attention holds all of its weights, as nothing else asks for so much at once."""
    monkeypatch.setattr(_attend, "most_plain_positions", lambda channels: math.inf)


def torch_capacity() -> float:
    found = machine_bytes()
    assert found is not None
    return found / MIB


@contextmanager
def address_space(more_mib: int) -> Iterator[int]:
    """This process may map so much more than it has, for a while."""
    before = resource.getrlimit(resource.RLIMIT_AS)
    mapped = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    limit = mapped + more_mib * MIB
    resource.setrlimit(resource.RLIMIT_AS, (limit, before[1]))
    try:
        yield limit
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


@pytest.mark.usefixtures("plain_attention")
def test_an_allocator_that_really_has_nothing_left_is_told_apart(space: SearchSpace) -> None:
    """PAM on 64 x 64 positions and 8 images asks for 512 MiB at once."""
    network = replace(small().network, depth=2)
    placement = network.plain.replace(Location.parse("encoder.0"), AttentionSpec("pam"))
    evaluator = TrainingEvaluator(network, DataSource(image_size=64, n_train=8, n_val=2))
    assert isinstance(evaluator(network.plain, Budget(1, 64, 8), 0), Outcome)
    with address_space(300) as limit:
        failure = attempt(evaluator, Evaluation(placement, Budget(1, 64, 8), 0, Role.PROPOSAL))

    assert not isinstance(failure, Outcome)
    assert failure.shortage is not None, failure.reason
    assert failure.shortage.capacity_mib == pytest.approx(limit / MIB)
    assert (failure.shortage.needed_mib or 0) > 512
    assert failure.shortage.device.startswith("cpu: ")


@pytest.mark.usefixtures("plain_attention")
class TestSplit:
    """Where it is allowed, a batch that does not fit is gone through in parts."""

    @staticmethod
    def dear(space: SearchSpace) -> Placement:
        return space.plain.replace(Location.parse("encoder.0"), AttentionSpec("pam"))

    def test_the_result_is_that_of_the_whole_batch(self) -> None:
        space = small("group")
        placement, budget = self.dear(space), Budget(6, 16, 4)
        with scarce(math.inf) as live:
            whole = trained(space)(placement, budget, 0)
        split = Scarce(trained(space, split=True), 0.75 * live.peak / MIB)(placement, budget, 0)

        assert split.engine == "eager, batches in 2 parts"
        assert split.score.iou == pytest.approx(whole.score.iou, abs=0.005)
        assert split.score.loss == pytest.approx(whole.score.loss, rel=1e-3)
        assert [point.loss for point in split.curve] == pytest.approx([p.loss for p in whole.curve], rel=1e-3)
        assert (split.cost.peak_memory_mib or 0.0) < 0.75 * (whole.cost.peak_memory_mib or 0.0)

    def test_unless_it_is_allowed_nothing_is_split(self) -> None:
        space = small("group")
        with pytest.raises(torch.OutOfMemoryError):
            Scarce(trained(space), 3.0)(self.dear(space), BUDGET, 0)

    def test_what_looks_at_the_whole_batch_is_not_split_and_says_so(self) -> None:
        space = small("batch")
        evaluation = Evaluation(self.dear(space), BUDGET, 0, Role.PROPOSAL)
        failure = attempt(Scarce(trained(space, split=True), 3.0), evaluation)

        assert not isinstance(failure, Outcome)
        assert failure.reason.endswith(
            "; its batch was not split, since encoder.0.norm1 normalises by the mean of the whole batch"
        )

    def test_what_does_not_fit_image_by_image_is_infeasible(self) -> None:
        space = small("group")
        failure = attempt(
            Scarce(trained(space, split=True), 1.0), Evaluation(self.dear(space), BUDGET, 0, Role.PROPOSAL)
        )
        assert not isinstance(failure, Outcome)
        assert isinstance(failure.shortage, OutOfMemory)


def test_where_the_plain_network_does_not_fit_the_way_out_is_named(
    studies: Any, evaluator: LookupEvaluator
) -> None:
    with pytest.raises(StudyError, match=r"the same command tries again .*; with --as-new, a smaller"):
        run(studies, InlinePool(with_room(evaluator, lambda _: 1.0, 0.0)))
