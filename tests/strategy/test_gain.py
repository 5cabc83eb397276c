"""A search that learns gains more than chance: hypervolume of the true front on the lookup table."""

from __future__ import annotations

import random
import statistics
from collections.abc import Iterable
from dataclasses import replace

import pytest

from nas_attn.models.placement import Placement

SPREAD = 0.04


def hypervolume(game, placements: Iterable[Placement]) -> float:
    """Area of (IoU, cost) that the placements dominate, by the noiseless truth.

    Counted from 2 points of IoU below the plain U-Net and from 1.5 times its cost.
    """
    plain = game.space.plain
    worst_iou, worst_cost = game.evaluator.truth(plain) - 0.02, 1.5 * game.cost(plain)
    area, best = 0.0, worst_iou
    for placement in sorted(placements, key=game.cost):
        iou = game.evaluator.truth(placement)
        if iou > best and game.cost(placement) < worst_cost:
            area += (iou - best) * (1 - game.cost(placement) / worst_cost)
            best = iou
    return area


@pytest.mark.parametrize(("name", "n_trials"), [("tpe", 40), ("nsga2", 80)])
def test_a_search_beats_chance(space_of, play, name: str, n_trials: int) -> None:
    """Ratio to random search, averaged over tasks; 1.19 and 1.26 over eight tasks when this was written."""
    space = space_of(2, 6)
    ratios = []
    for seed in range(4):
        areas = [
            hypervolume(game, game.run(strategy, n_trials).placements)
            for strategy, game in ((s, play(space, seed, spread=SPREAD)) for s in (name, "random"))
        ]
        ratios.append(areas[0] / areas[1])
    assert statistics.fmean(ratios) > 1.08


def test_a_few_steps_of_the_gaussian_process_gain_more_than_chance(space_of, play) -> None:
    """Six steps after sixteen random ones, against the mean of twenty random continuations of the same start."""
    space = space_of(2, 4, n_open=4)
    gained, by_chance = [], []
    for seed in range(2):
        start = play(space, seed, spread=SPREAD).run("random", 16)
        area = hypervolume(start, start.placements)
        learned = replace(start, records=list(start.records)).run("gp", 22)
        gained.append(hypervolume(learned, learned.placements) - area)
        rest = [placement for placement in space.placements() if placement not in start.placements]
        draws = (random.Random(draw).sample(rest, 6) for draw in range(20))
        by_chance += [hypervolume(start, start.placements + drawn) - area for drawn in draws]
    assert statistics.fmean(gained) > 1.5 * statistics.fmean(by_chance) > 0


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_the_gaussian_process_beats_chance_after_40_trials(space_of, play) -> None:
    space = space_of(2, 4)
    ratios = []
    for seed in range(6):
        areas = [
            hypervolume(game, game.run(strategy, 40).placements)
            for strategy, game in ((s, play(space, seed, spread=SPREAD)) for s in ("gp", "random"))
        ]
        ratios.append(areas[0] / areas[1])
    assert statistics.fmean(ratios) > 1.1
