"""Effects of attentions against truths that are made up, also where a search chose what to try."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from nas_attn.analysis.effects import StudyEffects, study_effects
from nas_attn.analysis.formats import effects_json
from nas_attn.models.network import UNetConfig
from nas_attn.models.placement import NONE, AttentionSpec, Location, Placement
from nas_attn.record import TrialRecord
from nas_attn.wording.effects import effect_notes, effect_sentences

Make = Callable[..., Any]
KINDS = (NONE, AttentionSpec("se"), AttentionSpec("eca"), AttentionSpec("scse"))
LOCATIONS = tuple(location for location, _ in UNetConfig(in_channels=1, classes=2, depth=2).plain)
NOISE = 0.004


def placed(codes: tuple[int, ...]) -> Placement:
    return Placement(tuple(zip(LOCATIONS, (KINDS[code] for code in codes), strict=True)))


def test_two_effects_do_not_tell_how_much_effects_differ(record: Make) -> None:
    """Their spread would be known by two degrees of freedom; a third is enough."""
    attended = [(0, 1), (1, 2), (2, 3)]
    for number in (2, 3):
        draw, records = np.random.default_rng(4), list[TrialRecord]()
        for held, seed in itertools.product(itertools.product((0, 1), repeat=number), range(8)):
            codes = [0] * len(LOCATIONS)
            for (place, code), here in zip(attended, held, strict=False):
                codes[place] = code * here
            iou = 0.6 + 0.02 * held[0] + float(draw.normal(0, NOISE))
            records.append(record(len(records), placed(tuple(codes)), seed, iou))
        found = study_effects(records)
        told = json.loads(effects_json(found, ()))["effects"]
        assert len(found.effects) == number
        known = number == 3
        assert all((effect.interval is not None) == known for effect in found.effects)
        assert all((one["ci_low"] is not None) == known for one in told)
        assert any(effect.is_sure for effect in found.effects) == known
        if not known:
            assert (found.interactions, found.redundancies) == ((), ())
            assert effect_sentences(found) == ["No effect is distinguishable from 0."]
            assert (
                "Intervals are not known: 2 effects are too few to estimate how much effects differ."
                in effect_notes(found)
            )


class Task:
    """IoU as a sum of effects, of pairs, of an attention's luck with a seed and of noise; all that is not given is
    drawn. Placements take four seeds in turn."""

    def __init__(self, seed: int, pairs: float = 0.0015, luck: float = 0.002, n_seeds: int = 4) -> None:
        self.n_seeds = n_seeds
        self.generator = np.random.default_rng(seed)
        shape = (len(LOCATIONS), len(KINDS))
        self.effects = self.generator.normal(0, 0.005, shape)
        self.pairs = self.generator.normal(0, pairs, (*shape, *shape))
        self.luck = self.generator.normal(0, luck, (n_seeds, *shape))
        self.effects[:, 0] = self.luck[:, :, 0] = 0

    def run(self, codes: tuple[int, ...], number: int) -> float:
        lucky = sum(self.luck[number % self.n_seeds][choice] for choice in enumerate(codes))
        return self.truth(codes) + lucky + float(self.generator.normal(0, NOISE))

    def truth(self, codes: tuple[int, ...]) -> float:
        attended = [(place, code) for place, code in enumerate(codes) if code]
        both = sum(self.pairs[one][other] for one, other in itertools.combinations(attended, 2))
        return 0.6 + sum(self.effects[choice] for choice in attended) + both

    def average_effects(self) -> np.ndarray:
        """Against none there, over all placements there are: (locations, kinds)."""
        every = list(itertools.product(range(len(KINDS)), repeat=len(LOCATIONS)))
        codes = np.array(every)
        truth = sum(self.effects[place][codes[:, place]] for place in range(len(LOCATIONS)))
        for one, other in itertools.combinations(range(len(LOCATIONS)), 2):
            both = (codes[:, one] > 0) & (codes[:, other] > 0)
            truth = truth + both * self.pairs[one, codes[:, one], other, codes[:, other]]
        table = truth.reshape((len(KINDS),) * len(LOCATIONS))
        means = [table.mean(axis=tuple(set(range(len(LOCATIONS))) - {place})) for place in range(len(LOCATIONS))]
        return np.array([mean - mean[0] for mean in means])

    def sample(self) -> tuple[int, ...]:
        return tuple(self.generator.integers(0, len(KINDS), len(LOCATIONS)).tolist())


def random_search(task: Task, record: Make, number: int) -> list[TrialRecord]:
    tried = [(0,) * len(LOCATIONS), *(task.sample() for _ in range(number))]
    return [record(n, placed(codes), n % task.n_seeds, task.run(codes, n)) for n, codes in enumerate(tried)]


def greedy_search(task: Task, record: Make, number: int) -> list[TrialRecord]:
    """Random at first; then one location changed in the best placement so far: what looks bad is left."""
    scores: dict[tuple[int, ...], float] = {}
    for trial in range(number):
        codes = list(task.sample())
        if trial >= 15:
            codes = list(max(scores, key=lambda tried: scores[tried]))
            codes[task.generator.integers(len(codes))] = int(task.generator.integers(len(KINDS)))
        if tuple(codes) not in scores:
            scores[tuple(codes)] = task.run(tuple(codes), len(scores))
    return [record(n, placed(codes), n % task.n_seeds, iou) for n, (codes, iou) in enumerate(scores.items())]


@pytest.mark.parametrize(
    ("search", "n_seeds", "least"),
    [(random_search, 4, 0.92), (greedy_search, 4, 0.88), (random_search, 1, 0.92)],
    ids=["random", "greedy", "one seed"],
)
def test_intervals_cover_the_average_effects_also_where_the_scores_chose_the_trials(
    search: Make, n_seeds: int, least: float, record: Make
) -> None:
    """Hill climbing is the hardest case: most trials are neighbours of one placement. With one seed an attention's
    luck cannot be told from its effect, only be expected."""
    covered, errors = [], []
    for seed in range(100, 140):
        task = Task(seed, n_seeds=n_seeds)
        truths = task.average_effects()
        for effect in study_effects(search(task, record, 70)).effects:
            truth = truths[LOCATIONS.index(effect.location), KINDS.index(effect.attention)]
            covered.append(not effect.interval.excludes(truth))
            errors.append(effect.mean - truth)
    assert least <= np.mean(covered) <= 0.97
    assert abs(np.mean(errors)) < 0.0005


@pytest.fixture(scope="module")
def clear(record: Make) -> StudyEffects:
    """se at the first place gains 5 points, eca anywhere else 2, but none beside it; scse at the third loses 3."""
    task = Task(0, pairs=0.0, luck=0.0)
    task.effects[:] = 0
    task.effects[0, 1], task.effects[1:, 2], task.effects[2, 3] = 0.05, 0.02, -0.03
    task.pairs[0, 1, 1:, 2] = -0.02
    return study_effects(random_search(task, record, 300))


def test_clear_effects_are_found_and_hardly_anything_else(clear: StudyEffects) -> None:
    """On average over all placements: eca stands beside se in a quarter of them, and se beside 6 / 4 of eca."""
    gains = {(effect.location, str(effect.attention)): effect for effect in clear.effects}
    wanted = {(LOCATIONS[0], "se"): 0.02, (LOCATIONS[2], "scse"): -0.03}
    wanted |= {(location, "eca"): 0.015 for location in LOCATIONS[1:]}
    for where, gain in wanted.items():
        assert gains[where].is_sure
        assert gains[where].mean == pytest.approx(gain, abs=0.004)
    assert sum(effect.is_sure for effect in clear.effects) <= len(wanted) + 2
    assert clear.at(LOCATIONS[0], AttentionSpec("se")) in clear.effects
    assert clear.at(LOCATIONS[0], NONE) is None


def test_pairs_that_stand_in_each_others_way_are_found_and_called_redundant(clear: StudyEffects) -> None:
    true = [pair for pair in clear.interactions if pair.one == (LOCATIONS[0], AttentionSpec("se"))]
    assert clear.interactions[:6] == tuple(true[:6])
    assert all(-0.02 < pair.mean < -0.006 for pair in true[:6])  # shrunken: most pairs are nothing
    assert clear.redundancies
    said = " ".join(effect_sentences(clear, most=999))
    for redundancy in clear.redundancies:
        assert redundancy.beside == (LOCATIONS[0], AttentionSpec("se"))
        assert str(redundancy.module[1]) == "eca"
        assert redundancy.alone == pytest.approx(0.02, abs=0.005)
        assert abs(redundancy.together) < 0.005
        assert f"eca at {redundancy.module[0]} adds nothing beside se at {LOCATIONS[0]}: " in said


def test_the_json_says_the_same(clear: StudyEffects) -> None:
    written = json.loads(effects_json(clear, ["A note."]))
    assert written["notes"] == ["A note."]
    assert len(written["effects"]) == len(clear.effects)
    assert written["effects"][0].keys() == {"location", "attention", "effect", "ci_low", "ci_high", "n_placements"}
    assert written["interactions"][0]["one"]["attention"] == "se"
    assert written["redundancies"][0]["beside"] == {"location": str(LOCATIONS[0]), "attention": "se"}


def test_few_runs_tell_no_effects(record: Make) -> None:
    effects = study_effects(random_search(Task(0), record, 10))
    assert effects.effects == ()
    assert "11 complete runs: too few to estimate effects; at least 16 are needed." in effect_notes(effects)
    assert study_effects([]).effects == ()


def test_a_collapsed_run_does_not_drown_the_others(record: Make) -> None:
    records = random_search(Task(3), record, 80)
    before = study_effects(records)
    effects = study_effects([*records, record(900, placed((1, 2, 3, 1, 2, 0, 0)[: len(LOCATIONS)]), 0, 0.05)])
    assert effects.n_raised == before.n_raised + 1
    ious = np.array([one.outcome.score.iou for one in records if one.outcome is not None and one.seed == 0])
    assert 0 < effects.most_below < np.median(ious) - 0.05
    said = f"each is counted as {100 * effects.most_below:.1f} IoU points below them, so that one failed training"
    assert any(said in note for note in effect_notes(effects))
    for effect in before.effects:
        same = effects.at(effect.location, effect.attention)
        assert same is not None
        assert same.mean == pytest.approx(effect.mean, abs=0.006)


def test_what_a_seed_adds_to_all_is_no_effect(record: Make) -> None:
    records = random_search(Task(4), record, 60)
    shifted = [record(r.number, r.placement, r.seed, r.outcome.score.iou + 0.1 * r.seed) for r in records]
    worst = max(
        abs(effect.mean - float(other.mean))
        for effect in study_effects(records).effects
        if (other := study_effects(shifted).at(effect.location, effect.attention))
    )
    assert worst < 0.003


def test_where_all_scores_are_equal_nothing_matters(record: Make) -> None:
    task = Task(5)
    records = [record(n, placed(task.sample()), 0, 0.5) for n in range(30)]
    assert not any(effect.is_sure for effect in study_effects(records).effects)


def test_locations_are_in_the_order_of_the_network(clear: StudyEffects) -> None:
    order: list[Location] = list(dict.fromkeys(effect.location for effect in clear.effects))
    assert tuple(order) == LOCATIONS
