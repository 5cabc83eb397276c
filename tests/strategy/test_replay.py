"""What the samplers are told, and that a rebuilt study behaves as one that was never taken apart."""

from __future__ import annotations

import itertools
import logging
from dataclasses import replace

import optuna
import pytest
from optuna.trial import TrialState

from nas_attn.models.placement import AttentionSpec
from nas_attn.record import State
from nas_attn.strategy import STRATEGIES
from nas_attn.strategy.optuna_samplers import rebuild
from nas_attn.strategy.question import sampler_seed
from nas_attn.strategy.samplers.nsga2 import OPTUNA_KEY, POPULATION, generation_of

RANDOM = optuna.samplers.RandomSampler(seed=0)


def test_one_trial_per_placement_with_iou_up_and_cost_down(space_of, play) -> None:
    game = play(space_of(2, 3)).run("random", 5)
    finalist = game.record(game.placements[2], seed=0)
    game.records.append(finalist)
    study = rebuild(game.question(), RANDOM)
    assert [direction.name for direction in study.directions] == ["MAXIMIZE", "MINIMIZE"]
    assert [trial.params for trial in study.trials] == [placement.to_dict() for placement in game.placements[:5]]
    for trial, record in zip(study.trials, game.records, strict=False):
        assert trial.state is TrialState.COMPLETE
        assert trial.values == pytest.approx([record.outcome.score.iou, record.outcome.cost.macs])


def test_every_trial_has_every_location_with_all_its_choices_in_their_order(space_of, play) -> None:
    space = space_of(2, 3, n_open=5)
    study = rebuild(play(space).run("random", 2).question(), RANDOM)
    for trial in study.trials:
        assert {name: list(d.choices) for name, d in trial.distributions.items()} == {
            str(location): [str(kind) for kind in kinds] for location, kinds in space.choices
        }


def test_failed_and_pending_placements_are_told_as_such(space_of, play) -> None:
    space = space_of(2, 3)
    game = play(space, fails=lambda placement: placement == space.plain)
    game.records += [game.record(space.plain)]
    pending = space.plain.replace(space.locations[0], AttentionSpec("a"))
    states = [trial.state for trial in rebuild(game.question(pending=[pending]), RANDOM).trials]
    assert states == [TrialState.FAIL, TrialState.RUNNING]
    asked_otherwise = rebuild(game.question(), RANDOM, failed_as=TrialState.RUNNING)
    assert [trial.state for trial in asked_otherwise.trials] == [TrialState.RUNNING]


def test_the_gaussian_process_leaves_a_favourite_that_failed(space_of, play) -> None:
    """It proposes something else by itself; merely told of a failure, Optuna's sampler would insist."""
    game = play(space_of(2, 3, n_open=4)).run("random", 12)
    favourite = STRATEGIES["gp"](game.question(number=12)).placement
    game.records.append(replace(game.record(favourite), state=State.FAILED, outcome=None, failure="diverged"))
    insisting = rebuild(game.question(), seeded_gp(game))
    assert insisting.ask(insisting.trials[0].distributions).params == favourite.to_dict()
    yielding = rebuild(game.question(), seeded_gp(game), failed_as=TrialState.RUNNING)
    wanted = yielding.ask(yielding.trials[0].distributions).params
    assert wanted != favourite.to_dict()
    assert STRATEGIES["gp"](game.question()).placement.to_dict() == wanted


def seeded_gp(game) -> optuna.samplers.GPSampler:
    return optuna.samplers.GPSampler(seed=sampler_seed(game.question()))


def test_a_known_placement_that_runs_again_is_not_told_twice(space_of, play) -> None:
    game = play(space_of(2, 3)).run("random", 3)
    study = rebuild(game.question(pending=game.placements[1:2]), RANDOM)
    assert [trial.state for trial in study.trials] == [TrialState.COMPLETE] * 3


def test_rebuilding_says_nothing(space_of, play, capfd, caplog) -> None:
    with caplog.at_level(logging.DEBUG, logger="optuna"):
        play(space_of(2, 3)).run("tpe", 3)
    assert capfd.readouterr() == ("", "")
    assert [record.message for record in caplog.records if record.levelno >= logging.INFO] == []


def test_nsga2_goes_on_as_if_its_study_had_never_been_taken_apart(space_of, play) -> None:
    """One study of Optuna that lives through four generations proposes the very same placements.

    It is made to forget its parents before each trial: Optuna lists them by rank when it chooses them and by
    number when it remembers them, so that equal draws mean other parents.
    """
    game = play(space_of(4, 8), seed=3).run("nsga2", 4 * POPULATION)
    study = living_study()
    for number, record in enumerate(game.records):
        for generation in range(5):
            study._storage.set_study_system_attr(study._study_id, f"NSGAIISampler:parent:{generation}", None)
        study.sampler = sampler_of(game.question(number=number))
        trial = study.ask(choices_of(game.space))
        while any(trial.params == earlier.placement.to_dict() for earlier in game.records[:number]):
            study.tell(trial, state=TrialState.FAIL)
            trial = study.ask(choices_of(game.space))
        assert trial.params == record.placement.to_dict(), f"trial {number}"
        study.tell(trial, values_of(game, record))
    generations = [record.memory["generation"] for record in game.records]
    assert generations == [number // POPULATION for number in range(4 * POPULATION)]
    told = [trial for trial in study.trials if trial.state is TrialState.COMPLETE]
    assert [trial.system_attrs[OPTUNA_KEY] for trial in told] == generations


def test_nsga2_keeps_the_parents_that_a_living_study_remembers(space_of, play) -> None:
    game = play(space_of(4, 8), seed=2).run("nsga2", 5 * POPULATION)
    study = living_study()
    for number, record in enumerate(game.records):
        generation = record.memory["generation"]
        trial = optuna.trial.create_trial(
            params=record.placement.to_dict(),
            distributions=choices_of(game.space),
            values=values_of(game, record),
            system_attrs={OPTUNA_KEY: generation},
        )
        study.ask()  # Optuna lists the trials anew only when it is asked for the next one.
        remembered = sampler_of(game.question()).get_parent_population(study, generation)
        past = replace(game.question(number=number), records=tuple(game.records[:number]))
        rebuilt = rebuild(past, sampler_of(past), generation_of)
        chosen = sampler_of(past).get_parent_population(rebuilt, generation)
        assert names(chosen) == names(remembered), f"trial {number}"
        assert len(chosen) == (POPULATION if generation else 0)
        study.add_trial(trial)


def test_nsga2_breeds_from_the_fronts_of_the_generations_before(space_of, play) -> None:
    """The third generation's parents fill up front by front; the fronts are peeled off by a slow loop."""
    game = play(space_of(4, 8), seed=1).run("nsga2", 2 * POPULATION)
    parents = {
        parent.number
        for parent in sampler_of(game.question()).get_parent_population(
            rebuild(game.question(), RANDOM, generation_of), 2
        )
    }
    left = dict(enumerate((record.outcome.score.iou, -game.cost(record.placement)) for record in game.records))
    while left and not parents <= (front := front_of(left)):
        assert front <= parents
        parents -= front
        left = {number: value for number, value in left.items() if number not in front}
    assert len(left) < 2 * POPULATION
    assert parents <= front_of(left)


def names(trials) -> set[str]:
    return {str(sorted(trial.params.items())) for trial in trials}


def front_of(values) -> set[int]:
    return {
        number
        for number, (iou, thrift) in values.items()
        if not any(other[0] >= iou and other[1] >= thrift and other != (iou, thrift) for other in values.values())
    }


def living_study() -> optuna.Study:
    return optuna.create_study(storage=optuna.storages.InMemoryStorage(), directions=["maximize", "minimize"])


def sampler_of(question) -> optuna.samplers.NSGAIISampler:
    return optuna.samplers.NSGAIISampler(population_size=POPULATION, seed=sampler_seed(question))


def choices_of(space) -> dict[str, optuna.distributions.BaseDistribution]:
    return {
        str(location): optuna.distributions.CategoricalDistribution([str(kind) for kind in kinds])
        for location, kinds in space.choices
    }


def values_of(game, record) -> list[float]:
    return [record.outcome.score.iou, game.cost(record.placement)]


def test_references_are_part_of_the_first_generation(space_of, play) -> None:
    game = play(space_of(4, 8)).run("random", POPULATION)
    assert STRATEGIES["nsga2"](game.question()).memory == {"generation": 1}
    game.records.pop()
    assert STRATEGIES["nsga2"](game.question()).memory == {"generation": 0}


def test_tpe_heeds_pending_placements_that_it_would_not_have_proposed(space_of, play) -> None:
    game = play(space_of(2, 3)).run("random", 40)
    alone = [STRATEGIES["tpe"](game.question(number=number)).placement for number in range(40, 48)]
    others = (placement for placement in game.space.placements() if placement not in game.placements + alone)
    pending = list(itertools.islice(others, 40))
    beside = [STRATEGIES["tpe"](game.question(pending, number)).placement for number in range(40, 48)]
    assert sum(one != other for one, other in zip(alone, beside, strict=True)) > 4
