"""Does what one data set says of attentions hold for another? Told by studies that are over.

The runs of each set are foretold by the product's own model of another set's runs, and of all others' together,
where every seed of every study is one of its own, differences count in spreads within seeds, and the levels that a
network does not have hold no attention. What is foretold is compared with the IoU of the runs: their correlation,
seeds apart, with intervals of resampled placements. On the diagonal a set foretells itself, each part of its
placements by the other parts.

    python benchmarks/across_sets.py leaf=studies/leaf nuclei=studies/nuclei built-in=studies/seed0,studies/seed1
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from foretelling import Array, correlation, foretold, ious_of, near, resampled, runs_of, seeds_of, spread, with_iou

from nas_attn.analysis.study_gains import study_gains
from nas_attn.errors import NasAttnError
from nas_attn.models.placement import NONE, Placement
from nas_attn.record import TrialRecord

PARTS = 10
MIDDLE, POINT = 0.5, 0.01


@dataclass(frozen=True)
class DataSet:
    """What the studies of one data set have run.

    Args:
        name: of the set.
        records: runs, a spread within their seed being a point of IoU.
    """

    name: str
    records: tuple[TrialRecord, ...]

    @classmethod
    def read(cls, words: str) -> DataSet:
        """The runs of some studies.

        Args:
            words: ``name=folder,folder``.
        Raises:
            NasAttnError: a folder holds no study, or one with no seed that four runs share.
        """
        name, _, folders = words.partition("=")
        return cls(name, joined([_in_spreads(runs_of(folder)) for folder in folders.split(",")]))


def of_one_network(sets: Sequence[DataSet]) -> list[DataSet]:
    """The same runs, with no attention at the levels that a set's network lacks and another's has."""
    found = {location for one in sets for location, _ in one.records[0].placement.specs}
    nothing = dict.fromkeys(found, NONE)

    def filled(record: TrialRecord) -> TrialRecord:
        return replace(record, placement=Placement.of(nothing | dict(record.placement.specs)))

    return [replace(one, records=tuple(map(filled, one.records))) for one in sets]


def joined(studies: Sequence[Sequence[TrialRecord]]) -> tuple[TrialRecord, ...]:
    """The runs of several studies as if one had made them all, no two studies with a seed in common."""
    budget, found = studies[0][0].budget, list[TrialRecord]()
    for records in studies:
        start = 1 + max((max(record.number, record.seed) for record in found), default=-1)
        found += [
            replace(record, number=start + record.number, seed=start + record.seed, budget=budget)
            for record in records
        ]
    return tuple(found)


def foretold_by(others: Sequence[TrialRecord], its: DataSet) -> Array:
    """The gain of each run's placement by runs of other sets, (n,)."""
    gains, rows = study_gains(others, others=[record.placement for record in its.records])
    return np.array([float(gains.mean[rows[record.placement]]) for record in its.records])


def agreement(foreseen: Array, its: DataSet) -> str:
    """Correlation of what was foretold with what was found, with a 95 % interval of resampled placements."""
    seeds = seeds_of(its.records)
    found, foreseen = near(ious_of(its.records), seeds), near(foreseen, seeds)
    drawn = [correlation(foreseen[rows], found[rows]) for rows in resampled(its.records)]
    low, high = np.nanquantile(drawn, (0.025, 0.975))
    return f"{correlation(foreseen, found):+.2f} ({low:+.2f} to {high:+.2f})"


def main(arguments: Sequence[str] | None = None) -> int:
    """Foretell and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sets", nargs="+", metavar="NAME=STUDY[,STUDY]", help="a set and folders of its studies")
    asked = parser.parse_args(arguments)
    if len(asked.sets) < 2:
        parser.error("give two sets at least")
    try:
        sets = of_one_network([DataSet.read(words) for words in asked.sets])
    except NasAttnError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    names = " | ".join(f"by {one.name}" for one in sets)
    print(f"| foretold | runs | {names} | by all others |")
    print("| --- | --- |" + " --- |" * (len(sets) + 1))
    for its in sets:
        others = [one.records for one in sets if one is not its]
        told = [_told(one, its) for one in sets]
        print(f"| {its.name} | {len(its.records)} | {' | '.join(told)} | ", end="", flush=True)
        print(f"{agreement(foretold_by(joined(others), its), its)} |", flush=True)
    return 0


def _told(by: DataSet, its: DataSet) -> str:
    return agreement(foretold(its.records, PARTS) if by is its else foretold_by(by.records, its), its)


def _in_spreads(records: Sequence[TrialRecord]) -> list[TrialRecord]:
    seeds = seeds_of(records)
    distances = near(ious_of(records), seeds)
    scores = MIDDLE + POINT * distances / spread(distances, seeds)
    return [with_iou(record, score) for record, score in zip(records, scores.tolist(), strict=True)]


if __name__ == "__main__":
    sys.exit(main())
