"""What holds for every registered strategy, the ones that will be added included."""

from __future__ import annotations

import functools
import json
import os
import random
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from nas_attn.budget import Budget
from nas_attn.errors import RegistryError, UsageError
from nas_attn.models.kind import AttentionKind
from nas_attn.models.network import UNetConfig
from nas_attn.models.placement import NONE, AttentionSpec, Placement
from nas_attn.record import Role, State, TrialRecord
from nas_attn.space import Limits, SearchSpace
from nas_attn.strategy import STRATEGIES, Proposal, Question
from nas_attn.training.evaluation.lookup import LookupEvaluator

BUDGET = Budget(steps=3000, image_size=32, batch_size=8)
STARTUP = 12
"""More than the ten trials that TPE and the Gaussian process spend at random."""

every_strategy = pytest.mark.parametrize("name", sorted(STRATEGIES))


def space_of(n_kinds: int, n_open: int = 7) -> SearchSpace:
    """A U-Net of seven locations; the first ``n_open`` have ``n_kinds`` choices, the others only ``none``."""
    network = UNetConfig(3, 2, depth=2, base_channels=8)
    names = ("none", "a", "b", "c", "d")[:n_kinds]
    kinds = tuple(AttentionKind(name, name, "invented") for name in names)
    specs = tuple(AttentionSpec(name) for name in names)
    choices = tuple(
        (location, specs if index < n_open else (NONE,)) for index, location in enumerate(network.locations)
    )
    return SearchSpace("invented", "", network, 32, 32, choices, Limits(), kinds)


SPACE = space_of(3)


def finished(number: int, placement: Placement, proposal: Proposal | None = None, seed: int = 0) -> TrialRecord:
    outcome = LookupEvaluator(SPACE)(placement, BUDGET, seed)
    memory = {} if proposal is None else dict(proposal.memory)
    return TrialRecord(
        number, placement, BUDGET, seed, Role.PROPOSAL, State.COMPLETE, outcome=outcome, memory=memory
    )


def some_records(n: int = STARTUP) -> list[TrialRecord]:
    generator = random.Random(0)
    placements = dict.fromkeys(SPACE.sample(generator) for _ in range(3 * n))
    return [finished(number, placement) for number, placement in enumerate(list(placements)[:n])]


@functools.cache
def cost(placement: Placement) -> float:
    return float(LookupEvaluator(SPACE).cost(placement).macs)


def question(
    records: Sequence[TrialRecord] = (),
    pending: Sequence[Placement] = (),
    space: SearchSpace = SPACE,
    seed: int = 0,
    allowed: Callable[[Placement], bool] = lambda placement: True,
    number: int | None = None,
) -> Question:
    number = len(records) if number is None else number
    return Question(space, tuple(records), tuple(pending), number, seed, cost, "macs", allowed)


def play(name: str, n: int, records: list[TrialRecord], **options: object) -> list[Placement]:
    """The next ``n`` proposals, each evaluated before the next is asked for; fewer where nothing new is left."""
    proposed = []
    for _ in range(n):
        proposal = STRATEGIES[name](question(records, **options))
        if proposal is None:
            break
        proposed.append(proposal.placement)
        records.append(finished(len(records), proposal.placement, proposal))
    return proposed


def answers_as_text() -> str:
    """What every strategy answers to one question, for comparison between processes."""
    pending = [SPACE.plain.replace(location, AttentionSpec("a")) for location in SPACE.locations]
    asked = question(some_records(), pending, seed=5)
    answers = {name: STRATEGIES[name](asked) for name in sorted(STRATEGIES)}
    texts = {name: [str(answer.placement), dict(answer.memory)] for name, answer in answers.items()}
    return json.dumps({**texts, "what they were told": [repr(record) for record in asked.records]})


def test_the_strategies_of_the_package_are_found() -> None:
    assert {"gp", "nsga2", "random", "tpe"} <= set(STRATEGIES)


def test_an_unknown_strategy_names_its_neighbour() -> None:
    with pytest.raises(RegistryError, match=r"unknown strategy 'nsga'; did you mean 'nsga2'\?"):
        STRATEGIES["nsga"]


def test_naming_the_strategies_package_imports_neither_optuna_nor_torch() -> None:
    code = "import sys, nas_attn.strategy; print([m for m in ('optuna', 'torch') if m in sys.modules])"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=env())
    assert answer.stdout.strip() == "[]"


def test_a_negative_seed_or_number_is_refused() -> None:
    with pytest.raises(
        UsageError, match=r"number is -1; it must be at least 0\nseed is -2; it must be at least 0"
    ):
        question(number=-1, seed=-2)


@every_strategy
def test_proposals_lie_in_the_space_and_never_repeat(name: str) -> None:
    records = some_records()
    proposed = play(name, 2, records)
    assert all(SPACE.contains(placement) for placement in proposed)
    assert len({record.placement for record in records}) == STARTUP + 2


@every_strategy
def test_the_first_proposal_needs_no_record(name: str) -> None:
    assert SPACE.contains(STRATEGIES[name](question()).placement)


@every_strategy
def test_equal_questions_get_equal_proposals_whatever_was_asked_between(name: str) -> None:
    records = some_records()
    early = STRATEGIES[name](question(records[:5]))
    late = STRATEGIES[name](question(records))
    STRATEGIES[name](question(records[:3], space=space_of(4, 2), seed=9, number=40))
    assert STRATEGIES[name](question(records[:5])) == early
    assert STRATEGIES[name](question(records)) == late


def test_another_process_with_other_hashes_answers_the_same() -> None:
    code = "import runpy, sys; print(runpy.run_path(sys.argv[1])['answers_as_text']())"
    answer = subprocess.run(
        [sys.executable, "-W", "error", "-c", code, __file__], capture_output=True, text=True, env=env()
    )
    assert answer.stderr == ""
    assert json.loads(answer.stdout) == json.loads(answers_as_text())


@every_strategy
def test_the_order_of_records_and_pending_placements_does_not_matter(name: str) -> None:
    records, pending = (
        some_records(STARTUP + 3)[:STARTUP],
        [r.placement for r in some_records(STARTUP + 3)[STARTUP:]],
    )
    shuffled = random.Random(1).sample(records, len(records))
    answer = STRATEGIES[name](question(records, pending))
    assert STRATEGIES[name](question(shuffled, pending[::-1])) == answer


@every_strategy
def test_a_pending_placement_is_not_proposed(name: str) -> None:
    """Three workers ask one after the other, none has finished."""
    records, pending = some_records(), []
    for worker in range(3):
        proposal = STRATEGIES[name](question(records, pending, number=STARTUP))
        assert proposal.placement not in pending, f"worker {worker}"
        pending.append(proposal.placement)


@every_strategy
def test_study_seed_and_trial_number_change_the_proposal(name: str) -> None:
    seeds = {STRATEGIES[name](question(seed=seed)).placement for seed in range(4)}
    numbers = {STRATEGIES[name](question(number=number)).placement for number in range(4)}
    assert len(seeds) > 1
    assert len(numbers) > 1


@every_strategy
def test_a_space_is_gone_through_once_and_then_nothing_is_left(name: str) -> None:
    space = space_of(4, n_open=2)
    records: list[TrialRecord] = []
    four = list(space.placements())[2:6]
    proposed = play(name, 100, records, space=space, allowed=lambda placement: placement not in four)
    assert len(proposed) == space.size - 4 == 12
    assert set(proposed) == set(space.placements()) - set(four)
    assert STRATEGIES[name](question(records, pending=four, space=space)) is None


@every_strategy
def test_the_last_placement_is_left_to_the_worker_that_has_it(name: str) -> None:
    space = space_of(3, n_open=1)
    one, two, three = space.placements()
    answer = STRATEGIES[name](question([finished(0, one)], [two], space=space))
    assert answer.placement == three
    assert STRATEGIES[name](question([finished(0, one)], [two, three], space=space, number=2)) is None


@every_strategy
def test_a_failed_placement_is_not_proposed_again(name: str) -> None:
    """Every second evaluation fails; also when nothing has succeeded yet."""
    for records in (some_records(), some_records(4)):
        some = [
            replace(record, state=State.FAILED, outcome=None, failure="diverged")
            if record.number % 2 or len(records) == 4
            else record
            for record in records
        ]
        proposed = play(name, 3, some)
        assert not set(proposed) & {record.placement for record in records}
        assert len(set(proposed)) == 3


@every_strategy
def test_under_a_tight_ceiling_every_proposal_is_allowed(name: str) -> None:
    """The ceiling leaves about one placement in a hundred."""
    ceiling = sorted(cost(placement) for placement in SPACE.placements())[SPACE.size // 100]
    legal = [placement for placement in SPACE.placements() if cost(placement) <= ceiling]
    records = [finished(number, placement) for number, placement in enumerate(legal[:STARTUP])]
    proposed = play(name, 2, records, allowed=lambda placement: cost(placement) <= ceiling)
    assert set(proposed) <= set(legal[STARTUP:])
    assert len(set(proposed)) == 2


@every_strategy
def test_finalists_with_several_seeds_and_references_from_outside_the_space_are_understood(name: str) -> None:
    records = some_records()
    outside = SPACE.plain.replace(SPACE.locations[0], AttentionSpec("d"))
    records.append(finished(len(records), outside))
    records.append(replace(finished(len(records), records[3].placement, seed=1), role=Role.FINALIST))
    records.append(replace(finished(len(records), records[3].placement, seed=2), role=Role.FINALIST))
    answer = STRATEGIES[name](question(records, pending=[outside.replace(SPACE.locations[1], AttentionSpec("d"))]))
    assert SPACE.contains(answer.placement)
    assert answer.placement not in {record.placement for record in records}


@every_strategy
def test_what_a_strategy_remembers_survives_json(name: str) -> None:
    memory = dict(STRATEGIES[name](question(some_records())).memory)
    assert json.loads(json.dumps(memory)) == memory


@every_strategy
def test_foreign_memory_is_ignored(name: str) -> None:
    records = [replace(record, memory={"someone_else": [1, 2]}) for record in some_records()]
    assert STRATEGIES[name](question(records)) == STRATEGIES[name](question(some_records()))


def env() -> dict[str, str]:
    return {**os.environ, "PYTHONHASHSEED": "4242", "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
