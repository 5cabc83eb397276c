"""What should a search learn from, the IoU of its runs or their validation loss? Told by studies that are over.

The placements of a study are parted; each part is foretold by the product's own model of all others' runs, once
learned from their IoU and once from their loss, put on the scale of the IoU by the spreads of both within seeds.
What is foretold is compared with the IoU of the runs that were left out: their correlation, seeds apart. Intervals
are of resampled placements.

    python benchmarks/foretelling.py studies/nuclei studies/leaf
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nas_attn.analysis.collapse import find_collapses
from nas_attn.analysis.effect_model import within_groups
from nas_attn.analysis.runs import select_runs
from nas_attn.analysis.study_gains import study_gains
from nas_attn.errors import NasAttnError
from nas_attn.models.placement import Placement
from nas_attn.record import TrialRecord
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
    print("| study | steps | runs | loss with IoU of a run | foretold by IoU | by loss | by loss less by IoU |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for folder in asked.studies:
        try:
            records = usable(open_study(folder).records())
        except NasAttnError as error:
            print(f"error: {error}", file=sys.stderr)
            return 2
        steps, row = records[0].budget.steps, _row(records, asked.parts)
        print(f"| {Path(folder).name} | {steps} | {len(records)} | {row} |", flush=True)
    return 0


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


def by_loss(records: Sequence[TrialRecord]) -> list[TrialRecord]:
    """The same runs with what their loss says in place of their IoU."""
    seeds = np.array([record.seed for record in records])
    ious, losses = _of(records, lambda score: score.iou), _of(records, lambda score: -score.loss)
    scale = _spread(ious, seeds) / _spread(losses, seeds)
    told = ious - within_groups(ious, seeds) + scale * within_groups(losses, seeds)
    return [_with_iou(record, iou) for record, iou in zip(records, told.tolist(), strict=True)]


def _with_iou(record: TrialRecord, iou: float) -> TrialRecord:
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


def _row(records: Sequence[TrialRecord], parts: int) -> str:
    seeds = np.array([record.seed for record in records])
    learned = _without_counts(records), by_loss(records)
    found, told = (_near(_of(known, lambda score: score.iou), seeds) for known in learned)
    together = float(np.corrcoef(found, told)[0, 1])
    by = [foretold(known, parts) for known in learned]
    names = list(dict.fromkeys(record.placement for record in records))
    rows_of = [np.flatnonzero([record.placement == name for record in records]) for name in names]

    def agreements(drawn: Sequence[int]) -> Array:
        rows = np.concatenate([rows_of[number] for number in drawn])
        return np.array([np.corrcoef(foreseen[rows], found[rows])[0, 1] for foreseen in by])

    generator = np.random.default_rng(1)
    drawn = [agreements(generator.integers(0, len(names), len(names)).tolist()) for _ in range(RESAMPLES)]
    iou, loss = agreements(range(len(names)))
    low, high = np.nanquantile([two - one for one, two in drawn], (0.025, 0.975))
    return f"{together:.2f} | {iou:.2f} | {loss:.2f} | {loss - iou:+.2f} ({low:+.2f} to {high:+.2f})"


def _without_counts(records: Sequence[TrialRecord]) -> list[TrialRecord]:
    """What the images gave is not known of a loss: neither score has it."""
    return [_with_iou(record, iou) for record, iou in zip(records, _of(records, lambda s: s.iou), strict=True)]


def _of(records: Sequence[TrialRecord], value: Callable[..., float]) -> Array:
    return np.array([value(record.outcome.score) for record in records if record.outcome is not None])


def _near(values: Array, seeds: NDArray[np.int64]) -> Array:
    """How far above the middle of their seed, the far ones nearer, (n,)."""
    reach = FAR * _spread(values, seeds)
    return within_groups(values, seeds).clip(-reach, reach)


def _spread(values: Array, seeds: NDArray[np.int64]) -> float:
    low, high = np.quantile(within_groups(values, seeds), (0.25, 0.75))
    return float(high - low) / 1.349


if __name__ == "__main__":
    sys.exit(main())
