"""The best gain that may exist: draws from the posterior, maximised over all placements."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np
import pytest

from nas_attn.analysis import attainable
from nas_attn.analysis.attainable import DRAWS, best_gains
from nas_attn.analysis.gains import Gains, gains_of
from nas_attn.analysis.posterior import Posterior
from nas_attn.models.placement import Placement

Make = Callable[..., Any]
KINDS = ("none", "se", "eca", "cbam")
PLACES = ("skip_0", "skip_1", "bottleneck")
EFFECT = {("skip_0", "se"): 0.02, ("bottleneck", "eca"): 0.015, ("skip_1", "cbam"): -0.02}


@pytest.fixture(scope="module")
def everything(place: Make) -> list[Placement]:
    """All 64 placements of three locations, the plain U-Net first."""
    return [place(**dict(zip(PLACES, kinds, strict=True))) for kinds in product(KINDS, repeat=3)]


def truth(placement: Placement) -> float:
    held = {(str(location).replace(".", "_"), str(spec)) for location, spec in placement.attended}
    return sum(gain for choice, gain in EFFECT.items() if choice in held)


def learned(placements: list[Placement], n_seeds: int, noise: float, seed: int = 0) -> tuple[Gains, Posterior]:
    draw = np.random.default_rng(seed)
    scores = [{s: 0.7 + truth(p) + noise * draw.standard_normal() for s in range(n_seeds)} for p in placements]
    gains = gains_of(placements, scores)
    assert gains.posterior is not None
    return gains, gains.posterior


def drawn(gains: Gains, known: Posterior) -> np.ndarray:
    """The best gain, as it is drawn, in units of IoU."""
    return gains.spread * np.concatenate([*best_gains(known)])


def test_drawn_gains_have_the_posteriors_mean_and_spread(everything: list[Placement]) -> None:
    """Drawn by Matheron's rule, part by part; the posterior is solved in closed form."""
    placements = everything[:40]
    gains, known = learned(placements, 2, 0.01)
    found = np.array([drawn.gains_tried(gains.codes) for drawn in known.draws(1500, np.random.default_rng(5))])
    found *= gains.spread
    sd = np.sqrt(np.diag(gains.covariance(range(len(placements)))))
    some = sd > 0
    assert some.sum() == len(placements) - 1
    away = (found.mean(0) - gains.mean)[some] / (sd[some] / 1500**0.5)
    assert np.abs(away).max() < 4.5
    np.testing.assert_allclose(found.std(0)[some], sd[some], rtol=0.12)


def test_each_draws_maximum_is_that_of_all_placements(everything: list[Placement]) -> None:
    _, known = learned(everything, 2, 0.01)
    whole = np.array(
        [[float(any(c == choice for c in held)) for choice in known.choices] for held in _codes(known)]
    )
    best = np.concatenate([*best_gains(known, 40)])
    for number, drawn in enumerate(known.draws(40, np.random.default_rng(5))):
        by_all = (
            drawn.common * whole.any(1)
            + whole @ drawn.singles
            + np.einsum("mp,pq,mq->m", whole, drawn.pairs, whole) / 2
        )
        tried = drawn.of_held(known.holds_tried) + drawn.rests
        assert best[number] == pytest.approx(max(0.0, by_all.max(), tried.max()))


def _codes(known: Posterior) -> list[tuple[tuple[int, int], ...]]:
    """The choices of every placement that can be made."""
    places = sorted({place for place, _ in known.choices})
    at = [[None, *[choice for choice in known.choices if choice[0] == place]] for place in places]
    return [tuple(choice for choice in held if choice is not None) for held in product(*at)]


def test_the_best_that_was_never_tried_is_within_the_bound(everything: list[Placement]) -> None:
    """It needs two attentions that no placement of the study holds together."""
    apart = [one for one in everything if truth(one) < 0.03]
    low, high = np.quantile(drawn(*learned(apart, 3, 0.004)), (0.025, 0.975))
    assert low < 0.035 < high
    assert low > max(truth(one) for one in apart)


def test_where_nothing_helps_the_bound_falls_with_the_runs(place: Make, everything: list[Placement]) -> None:
    harmless = [one for one in everything if truth(one) == 0]
    bounds = [np.quantile(drawn(*learned(harmless, n_seeds, 0.01)), 0.975) for n_seeds in (2, 20)]
    assert bounds[1] < bounds[0] / 1.5
    assert bounds[1] < 0.01


def test_equal_runs_give_equal_draws_and_none_give_no_bound(everything: list[Placement]) -> None:
    known = learned(everything[:20], 2, 0.01)
    np.testing.assert_array_equal(drawn(*known), drawn(*known))
    assert gains_of(everything, [{} for _ in everything]).best_gain(0.0) == np.inf
    assert gains_of(everything[:1], [{0: 0.7, 1: 0.71}]).best_gain(1.0) == 0


def test_a_bound_is_told_up_to_what_is_asked_for(
    everything: list[Placement], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Few of the draws tell that it lies far beyond."""
    gains, known = learned(everything[:20], 2, 0.01)
    bound = float(np.quantile(drawn(gains, known), 0.99))
    assert gains.best_gain(0.99) == gains.best_gain(0.99, bound) == bound
    assert gains.best_gain(0.99, np.nextafter(bound, 0)) is None

    asked = []
    whole = attainable._best
    monkeypatch.setattr(attainable, "_best", lambda some, *others: asked.append(len(some)) or whole(some, *others))
    assert gains.best_gain(0.99, bound / 10) is None
    assert sum(asked) < DRAWS / 4
    nothing = gains_of(everything, [{} for _ in everything])
    assert (nothing.best_gain(0.99), nothing.best_gain(0.99, 1.0)) == (np.inf, None)
