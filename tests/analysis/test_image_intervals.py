"""Made-up studies with images, whose truth is known: do the intervals over seeds and images cover it?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from statistics import NormalDist
from typing import Any

import numpy as np
import pytest

from nas_attn.analysis import Versus, rank
from nas_attn.analysis.evidence import Estimate, Evidence
from nas_attn.analysis.finalists import USUAL_RATIO
from nas_attn.analysis.images import influence
from nas_attn.counts import ImageCounts
from nas_attn.metric import METRICS, Overlaps, metric_value
from nas_attn.record import Cost, Outcome, Score, TrialRecord

Make = Callable[..., Any]
BASE = 0.7
QUIET = {"seed": 0.008, "run": 0.002, "image": 0.05, "placement_image": 0.0, "run_image": 0.0}
REGIMES = {
    "seeds only": {"run": 0.004},
    "images only": {"placement_image": 0.03, "run": 1e-4},
    "seeds and images": {"placement_image": 0.02, "run": 0.004},
    "each run has images of its own": {"run_image": 0.03, "run": 1e-4},
    "all": {"placement_image": 0.02, "run_image": 0.03, "run": 0.003},
}


@pytest.fixture(scope="module")
def make_study(record: Make, numbered: Make) -> Make:
    blanks = [record(p, numbered(p), 0, 0.5, macs=1000 + p) for p in range(9)]

    def study(
        generator: np.random.Generator, gains: list[float], n_seeds: int, n_images: int, **noise: float
    ) -> list[TrialRecord]:
        """One class in images of different sizes; the share of it that is found varies by all there is."""
        sd = QUIET | noise

        def draw(name: str, *shape: int) -> np.ndarray:
            return sd[name] * generator.standard_normal(shape)

        n = len(gains)
        found = BASE + np.array(gains)[:, None, None] + draw("seed", n_seeds)[None, :, None]
        found = found + draw("run", n, n_seeds)[:, :, None] + draw("image", n_images)
        found = found + draw("placement_image", n, n_images)[:, None] + draw("run_image", n, n_seeds, n_images)
        unions = np.round(1e6 * generator.lognormal(0, 0.3, (n_images, 1))).astype(np.int64)
        records = []
        for p in range(n):
            for seed in range(n_seeds):
                intersections = np.round(unions * found[p, seed][:, None]).astype(np.int64)
                iou = float(intersections.sum() / unions.sum())
                score = Score(iou, (iou,), 0.5, ImageCounts.of(intersections, unions))
                outcome = Outcome(score, Cost(100, 1000 + p), (), 1.0)
                records.append(replace(blanks[p], number=len(records), seed=seed, outcome=outcome))
        return records

    return study


def test_influences_give_the_variance_of_a_direct_bootstrap() -> None:
    """Images drawn with replacement and the IoU computed anew, 4,000 times."""
    generator = np.random.default_rng(0)
    unions = generator.integers(500, 3000, (60, 3))
    intersections = (unions * generator.uniform(0.5, 0.9, (60, 3))).astype(np.int64)
    drawn = generator.integers(0, 60, (4000, 60))
    ious = (intersections[drawn].sum(1) / unions[drawn].sum(1)).mean(1)
    found = influence(ImageCounts.of(intersections, unions))
    assert found.sum() == pytest.approx(0, abs=1e-12)
    assert np.sqrt(found @ found) == pytest.approx(ious.std(), rel=0.04)


@pytest.mark.parametrize("name", METRICS)
def test_influences_on_any_metric_are_its_changes_as_an_image_is_counted_twice(name: str) -> None:
    """Numerically: each image a little more often, the metric computed anew of what is then counted."""
    generator = np.random.default_rng(1)
    labelled = generator.integers(100, 900, (12, 3)) * (generator.random((12, 3)) < 0.8)
    labelled[0] = 500
    both = (labelled * generator.uniform(0.4, 0.9, (12, 3))).astype(np.int64)
    predicted = both + generator.integers(0, 200, (12, 3))
    found = influence(ImageCounts.of_overlaps(Overlaps(labelled, predicted, both), np.arange(12), name))

    def weighed(image: int, times: int) -> float:
        often = np.full(12, times)
        often[image] += 1
        numbers = np.repeat(np.arange(12), often)
        value = metric_value(METRICS[name], Overlaps(labelled[numbers], predicted[numbers], both[numbers]))
        assert value is not None
        return value

    whole = metric_value(METRICS[name], Overlaps(labelled, predicted, both))
    slopes = [2000 * (weighed(image, 2000) - whole) for image in range(12)]
    assert found == pytest.approx(slopes, abs=2e-4)
    assert found.sum() == pytest.approx(0, abs=1e-6)


def test_a_class_that_never_occurs_has_no_influence() -> None:
    intersections, unions = np.array([[3, 0], [1, 0]]), np.array([[4, 0], [4, 0]])
    assert influence(ImageCounts.of(intersections, unions)) == pytest.approx([0.125, -0.125])


@pytest.mark.parametrize("regime", REGIMES)
def test_intervals_of_differences_cover_what_they_promise(make_study: Make, regime: str) -> None:
    """95 %, or as much more as intervals cover whose seeds' part is widened by what finalists usually share.

    Within two standard errors of the share, over studies: their intervals share the plain U-Net.
    """
    generator = np.random.default_rng(5)
    studies = []
    for n_placements, n_seeds, n_images in ((6, 3, 30), (3, 5, 60), (9, 2, 100)):
        for _ in range(450 // (n_placements - 1)):
            gains = [0.0, *generator.normal(0, 0.005, n_placements - 1)]
            evidence = Evidence.of(make_study(generator, gains, n_seeds, n_images, **REGIMES[regime]))
            studies.append([covers(evidence.to_baseline(row), gains[row]) for row in range(1, n_placements)])
    covered = np.concatenate(studies)
    error = sum((sum(study) - len(study) * covered.mean()) ** 2 for study in studies) ** 0.5 / len(covered)
    normal = NormalDist()
    widened = 2 * normal.cdf(normal.inv_cdf(0.975) * (1 + USUAL_RATIO / 2) ** 0.5) - 1
    assert 0.95 - 2 * error <= covered.mean() <= widened + 2 * error


def test_intervals_of_means_cover_what_loud_seeds_and_images_do(make_study: Make) -> None:
    """The means of a study share its seeds, so each study counts once: two binomial standard errors."""
    generator = np.random.default_rng(6)
    covered = []
    for n_placements, n_seeds, n_images in ((6, 3, 30), (3, 5, 60), (9, 2, 100)):
        for _ in range(100):
            evidence = Evidence.of(
                make_study(generator, [0.0] * n_placements, n_seeds, n_images, **REGIMES["seeds and images"])
            )
            covered.append(covers(evidence.mean(0), BASE))
    assert abs(np.mean(covered) - 0.95) <= 2 * (0.95 * 0.05 / len(covered)) ** 0.5


def covers(estimate: Estimate | None, truth: float) -> bool:
    """By the reach of Student's interval, which is told from three degrees of freedom on."""
    assert estimate is not None
    reach = estimate.reach(0.95)
    assert reach is not None
    return abs(estimate.value - truth) <= reach


def test_seeds_alone_would_not_cover_what_the_images_do(make_study: Make) -> None:
    generator = np.random.default_rng(1)
    covered = []
    for _ in range(100):
        records = make_study(generator, [0.0, 0.01], 4, 40, **REGIMES["images only"])
        for record in records:
            object.__setattr__(record.outcome.score, "counts", None)
        interval = rank(records).rows[0].delta_interval
        assert interval is not None
        covered.append(interval.low <= 0.01 <= interval.high)
    assert np.mean(covered) < 0.6


def test_the_same_placement_under_two_names_is_called_different_in_at_most_5_percent_of_reports(
    make_study: Make,
) -> None:
    """Placements 1 and 2 are the same and lead; 3 is the plain U-Net under another name.

    Of 200 reports 10 are expected, with a standard deviation of 3.1.
    """
    generator = np.random.default_rng(2)
    leaders, plains = 0, 0
    for regime in ["seeds only", "seeds and images"] * 100:
        records = make_study(generator, [0.0, 0.02, 0.02, 0.0], 3, 40, **REGIMES[regime])
        rows = {row.placement: row for row in rank(records).rows}
        leaders += not all(rows[records[3 * p].placement].tied_with_best for p in (1, 2))
        plains += rows[records[9].placement].better_than_baseline in (Versus.BETTER, Versus.WORSE)
    assert max(leaders, plains) <= 10 + 2 * 3.1


@pytest.mark.parametrize("images", [0.0, 0.01])
def test_one_point_is_found_with_eight_paired_seeds_in_most_reports(make_study: Make, images: float) -> None:
    """At a paired noise of 0.6 points from seed to seed; converged runs have 0.4."""
    generator = np.random.default_rng(3)
    found = []
    for _ in range(60):
        records = make_study(generator, [0.0, 0.01], 8, 60, run=0.006 / 2**0.5, placement_image=images)
        row = next(row for row in rank(records).rows if not row.is_plain)
        found.append(row.better_than_baseline is Versus.BETTER)
    assert np.mean(found) >= 0.8


def test_runs_of_another_set_of_images_are_compared_by_seeds_only(make_study: Make) -> None:
    generator = np.random.default_rng(4)
    records = make_study(generator, [0.0, 0.01, 0.02], 3, 30)
    odd = make_study(generator, [0.0, 0.01, 0.02], 3, 20)[3:6]
    mixed = [*records[:3], *odd, *records[6:]]
    ranking = rank(mixed)
    assert ranking.image_groups == 30
    assert all(row.delta_interval is not None for row in ranking.rows)
