"""What should a search learn from: the IoU of its runs, or another of their scores? Told by studies that are over.

The placements of a study are parted; each part is foretold by the product's own model of all others' runs, learned
from one score after the other, each put on the scale of the IoU by the spreads of both within seeds. What is
foretold is compared with the IoU of the runs that were left out: their correlation, seeds apart. Intervals are of
resampled placements.

    python benchmarks/foretelling.py studies/nuclei studies/leaf
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nas_attn.analysis.collapse import find_collapses
from nas_attn.analysis.runs import select_runs
from nas_attn.analysis.scores import within_groups
from nas_attn.analysis.study_gains import study_gains
from nas_attn.errors import NasAttnError, StudyError
from nas_attn.models.placement import Placement
from nas_attn.record import Score, TrialRecord
from nas_attn.study.setup.find import open_study

Array = NDArray[np.float64]

FAR = 5.0
"""Spreads from the middle of its seed beyond which a run counts as so far."""
RESAMPLES = 2000


def main(arguments: Sequence[str] | None = None) -> int:
    """Foretell and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("studies", nargs="+", metavar="STUDY", help="folders of studies")
    parser.add_argument("--parts", type=int, default=10, help="into which placements are parted (%(default)s)")
    asked = parser.parse_args(arguments)
    print("| study | steps | runs | foretold by IoU | another score | with the IoU of a run | by it | more |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for folder in asked.studies:
        try:
            records = runs_of(folder)
        except NasAttnError as error:
            print(f"error: {error}", file=sys.stderr)
            return 2
        start = f"| {Path(folder).name} | {records[0].budget.steps} | {len(records)} |"
        for row in _rows(records, asked.parts):
            print(start, row, flush=True)
    return 0


def runs_of(folder: str) -> list[TrialRecord]:
    """The usable runs of a study.

    Raises:
        NasAttnError: the folder holds no study, or one with no seed that four runs share.
    """
    if records := usable(open_study(folder).records()):
        return records
    raise StudyError(f"{folder}: no seed was run with four placements; nothing can be foretold")


def usable(records: Sequence[TrialRecord]) -> list[TrialRecord]:
    """The runs that a ranking rests on, but those that collapsed and those whose seed few others share."""
    selected = select_runs(records)
    plain = next((row for row, run in enumerate(selected.runs) if run.is_plain), None)
    collapses = find_collapses([run.scores for run in selected.runs], plain)
    kept = {
        (run.placement, seed) for row, run in enumerate(selected.runs) for seed in collapses.clean(row, run.scores)
    }
    found: dict[tuple[Placement, int], TrialRecord] = {}
    for record in sorted(records, key=lambda record: record.number):
        if record.budget == selected.budget and record.outcome and (record.placement, record.seed) in kept:
            found.setdefault((record.placement, record.seed), record)
    seeds = [record.seed for record in found.values()]
    return [record for record in found.values() if seeds.count(record.seed) >= 4]


def negative_loss(record: TrialRecord) -> float:
    """The higher, the better."""
    return -_score(record).loss


def mean_over_images(record: TrialRecord) -> float:
    """IoU of each group of images and class, averaged: no class and no image counts by its size."""
    counts = _score(record).counts
    if counts is None:
        return math.nan
    intersections, unions = counts.unpack()
    held = np.where(unions > 0, intersections / np.maximum(unions, 1), np.nan)
    return float(np.nanmean(np.nanmean(held, axis=0)))


def told_by(records: Sequence[TrialRecord], value: Callable[[TrialRecord], float]) -> list[TrialRecord]:
    """The same runs with what another score says in place of their IoU."""
    seeds = seeds_of(records)
    ious, values = ious_of(records), np.array([value(record) for record in records])
    scale = spread(ious, seeds) / spread(values, seeds)
    told = ious - within_groups(ious, seeds) + scale * within_groups(values, seeds)
    return [with_iou(record, iou) for record, iou in zip(records, told.tolist(), strict=True)]


def learned_from(records: Sequence[TrialRecord]) -> dict[str, list[TrialRecord]]:
    """The same runs by what a search might learn from, the IoU first; what single images gave is known of none."""
    ious, loss = ious_of(records), told_by(records, negative_loss)
    both = [with_iou(record, iou) for record, iou in zip(records, (ious + ious_of(loss)) / 2, strict=True)]
    usual = [with_iou(record, iou) for record, iou in zip(records, ious.tolist(), strict=True)]
    found = {"IoU": usual, "loss": loss, "IoU and loss": both}
    counted = all(_score(record).counts is not None for record in records)
    return found | ({"mean over images": told_by(records, mean_over_images)} if counted else {})


def with_iou(record: TrialRecord, iou: float) -> TrialRecord:
    """The same run with another IoU, and without what each image gave."""
    assert record.outcome is not None
    score = replace(record.outcome.score, iou=iou, counts=None)
    return replace(record, outcome=replace(record.outcome, score=score))


def foretold(records: Sequence[TrialRecord], parts: int) -> Array:
    """The gain of each run's placement, by the other parts' runs; the baseline is in all of them, (n,)."""
    placements = list(dict.fromkeys(record.placement for record in records if record.placement.attended))
    order = np.random.default_rng(0).permutation(len(placements))
    part_of = {placements[number]: place % parts for place, number in enumerate(order)}
    gain_of: dict[Placement, float] = {}
    for part in range(parts):
        left_out = [placement for placement, its in part_of.items() if its == part]
        others = [record for record in records if part_of.get(record.placement) != part]
        gains, rows = study_gains(others, others=left_out)
        gain_of |= {placement: float(gains.mean[rows[placement]]) for placement in left_out}
    return np.array([gain_of.get(record.placement, 0.0) for record in records])


def _rows(records: Sequence[TrialRecord], parts: int) -> Iterator[str]:
    """One for each score beside the IoU: how it goes with the IoU of a run, and how well each foretells that."""
    seeds = seeds_of(records)
    learned = learned_from(records)
    found = near(ious_of(learned["IoU"]), seeds)
    foreseen = {name: foretold(known, parts) for name, known in learned.items()}
    agrees = {name: correlation(gains, found) for name, gains in foreseen.items()}
    drawn = [*resampled(records)]
    by_iou = [correlation(foreseen["IoU"][rows], found[rows]) for rows in drawn]
    for name in [name for name in learned if name != "IoU"]:
        together = correlation(found, near(ious_of(learned[name]), seeds))
        by_it = [correlation(foreseen[name][rows], found[rows]) for rows in drawn]
        low, high = np.nanquantile(np.subtract(by_it, by_iou), (0.025, 0.975))
        more = f"{agrees[name] - agrees['IoU']:+.3f} ({low:+.3f} to {high:+.3f})"
        yield f"{agrees['IoU']:.3f} | {name} | {together:.2f} | {agrees[name]:.3f} | {more} |"


def resampled(records: Sequence[TrialRecord]) -> Iterator[NDArray[np.int64]]:
    """Rows of runs whose placements are drawn with replacement, ``RESAMPLES`` times."""
    names = list(dict.fromkeys(record.placement for record in records))
    rows_of = [np.flatnonzero([record.placement == name for record in records]) for name in names]
    generator = np.random.default_rng(1)
    for _ in range(RESAMPLES):
        yield np.concatenate([rows_of[name] for name in generator.integers(0, len(names), len(names))])


def correlation(one: Array, other: Array) -> float:
    """Pearson's."""
    return float(np.corrcoef(one, other)[0, 1])


def seeds_of(records: Sequence[TrialRecord]) -> NDArray[np.int64]:
    """Seed of each run, (n,)."""
    return np.array([record.seed for record in records])


def ious_of(records: Sequence[TrialRecord]) -> Array:
    """IoU of each run, (n,)."""
    return np.array([_score(record).iou for record in records])


def _score(record: TrialRecord) -> Score:
    assert record.outcome is not None
    return record.outcome.score


def near(values: Array, seeds: NDArray[np.int64]) -> Array:
    """How far above the middle of their seed, the far ones nearer, (n,)."""
    reach = FAR * spread(values, seeds)
    return within_groups(values, seeds).clip(-reach, reach)


def spread(values: Array, seeds: NDArray[np.int64]) -> float:
    """Of values within their seeds, as robust as quartiles are."""
    low, high = np.quantile(within_groups(values, seeds), (0.25, 0.75))
    return float(high - low) / 1.349


if __name__ == "__main__":
    sys.exit(main())
