"""What the effects say is what the next proposal is drawn from."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest

from nas_attn.analysis.effects import study_effects
from nas_attn.strategy.expectation import learned
from nas_attn.strategy.samplers import additive


def test_effects_are_the_moments_of_the_draws_that_proposals_are_made_of(space_of, play, monkeypatch) -> None:
    """Each draw is averaged over all placements of the space; none of them knows of the closed form."""
    space = space_of(2, 4, n_open=4)
    question = play(space).run("additive", 40).question()
    drawn_from = []
    front = additive._drawn_front
    monkeypatch.setattr(additive, "_drawn_front", lambda *given: drawn_from.append(given[1:3]) or front(*given))
    assert additive.propose(question) is not None
    posterior, encoding = drawn_from[0]
    gains, _ = learned(question)
    told = study_effects(question.records)
    codes = encoding.all_codes()
    random = np.random.default_rng(0)
    draws = np.array([posterior.draw(random).gains(codes) for _ in range(3000)]) * gains.spread

    assert len(told.effects) == 4 * 3
    for effect in told.effects:
        place = [location for location, _ in space.choices].index(effect.location)
        held = codes[:, place] == encoding.specs.index(effect.attention)
        added = draws[:, held].mean(1) - draws[:, codes[:, place] == 0].mean(1)
        sd = float(added.std())
        assert added.mean() == pytest.approx(effect.mean, abs=0.1 * sd)
        half = (effect.interval.high - effect.interval.low) / 2
        assert half / sd == pytest.approx(2.179, rel=0.08)  # Student's quantile for 12 effects


def test_a_collapsed_run_counts_alike_in_both(space_of, play) -> None:
    """Of three placements with four runs each one run fell by 40 points: both leave it out."""
    game = play(space_of(2, 3, n_open=4)).run("additive", 30)
    for number, (placement, seed) in enumerate(itertools.product(game.placements[5:8], (1, 2, 3)), start=30):
        record = replace(game.record(placement, seed=seed), number=number)
        score = record.outcome.score
        fallen = replace(score, iou=score.iou - 0.4 * (number == 31))
        game.records.append(replace(record, outcome=replace(record.outcome, score=fallen)))
    told = study_effects(game.records)
    gains, rows = learned(game.question())
    held = gains.codes[rows[game.placements[5]]]

    assert told.n_collapsed == 1
    assert (gains.posterior.runs.codes == held).all(1).sum() == 3
    assert told.n_runs == gains.n_runs == 38
