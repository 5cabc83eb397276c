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
from foretelling import Array, foretold, ious_of, near, resampled, spread, usable, with_iou
from numpy.typing import NDArray

from nas_attn.analysis.study_gains import study_gains
from nas_attn.errors import NasAttnError, StudyError
from nas_attn.models.placement import NONE, Placement
from nas_attn.record import TrialRecord
from nas_attn.study.setup.find import open_study

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
        return cls(name, joined([_in_spreads(_records(folder)) for folder in folders.split(",")]))

    @property
    def seeds(self) -> NDArray[np.int64]:
        """Of each run, (n,)."""
        return np.array([record.seed for record in self.records])


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
    found = near(ious_of(its.records), its.seeds)
    foreseen = near(foreseen, its.seeds)
    drawn = [np.corrcoef(foreseen[rows], found[rows])[0, 1] for rows in resampled(its.records)]
    low, high = np.nanquantile(drawn, (0.025, 0.975))
    return f"{np.corrcoef(foreseen, found)[0, 1]:+.2f} ({low:+.2f} to {high:+.2f})"


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


def _records(folder: str) -> list[TrialRecord]:
    if records := usable(open_study(folder).records()):
        return records
    raise StudyError(f"{folder}: no seed was run with four placements; nothing can be foretold")


def _in_spreads(records: Sequence[TrialRecord]) -> list[TrialRecord]:
    seeds = np.array([record.seed for record in records])
    distances = near(ious_of(records), seeds)
    scores = MIDDLE + POINT * distances / spread(distances, seeds)
    return [with_iou(record, score) for record, score in zip(records, scores.tolist(), strict=True)]


if __name__ == "__main__":
    sys.exit(main())
