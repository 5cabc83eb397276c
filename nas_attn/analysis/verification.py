"""Verify the claim about a placement with runs and data that did not choose it: confirmed, not shown or
refuted."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum

from nas_attn.analysis.additive import mean
from nas_attn.analysis.collapse import collapsed_seeds
from nas_attn.analysis.evidence import Estimate, Evidence
from nas_attn.analysis.paired import Pair
from nas_attn.analysis.result import Interval, RankedPlacement, Ranking, Versus
from nas_attn.analysis.runs import metric_of
from nas_attn.budget import Budget
from nas_attn.models.placement import Location, Placement
from nas_attn.record import State, TrialRecord


class Verdict(StrEnum):
    """Result of a verification."""

    CONFIRMED = "confirmed"
    NOT_SHOWN = "not shown"
    REFUTED = "refuted"


@dataclass(frozen=True)
class Comparison:
    """A paired difference.

    Args:
        delta: mean over the seeds that both have, in units of IoU.
        interval: over seeds and images; None if the noise is not known or rests on too few runs.
        n_seeds: number of seeds.
        word: what the units are called.
    """

    delta: float
    interval: Interval | None
    n_seeds: int
    word: str = "IoU"

    @property
    def versus(self) -> Versus:
        """Better or worse if the interval excludes 0."""
        if self.interval is None:
            return Versus.UNKNOWN
        if not self.interval.excludes(0.0):
            return Versus.NOT_DISTINGUISHABLE
        return Versus.BETTER if self.interval.low > 0 else Versus.WORSE


@dataclass(frozen=True)
class CollapsedRuns:
    """How often a placement collapsed.

    Args:
        number: of its collapsed runs.
        of: number of its complete runs.
    """

    number: int
    of: int

    @property
    def share(self) -> float:
        """Share of the runs that collapsed; 0 without runs."""
        return self.number / self.of if self.of else 0.0


@dataclass(frozen=True)
class Verification:
    """Result of testing a claim with fresh seeds and the test data.

    The claim is that the winner is better than the plain U-Net, by the gain that the search expects.

    Args:
        winner: the placement of the claim.
        iou: mean IoU of the winner and of the plain U-Net on the test data, over their common seeds; None if a run
            is missing.
        to_baseline: the winner's difference to the plain U-Net; None if they share no seed.
        reference: name of the best reference; empty if there is none.
        to_reference: the winner's difference to it; None if they share no seed.
        modules: contribution of each module to the winner: the winner's difference to itself without the module.
        found: difference measured by the search; None if it is not known.
        n_images: number of test images or clips, or of groups of them; None if they were not counted.
        n_failed: number of failed runs.
        budget: of the runs; None if none is complete.
        expected: gain over the plain U-Net that the search expects, above 0; None if it expects none.
        gain_shown: gain that this number of seeds detects with a power of 80 %, at the measured noise; None if
            that is not known or rests on too few seeds.
        seeds_needed: number of seeds that detect the expected gain with that power; None if no gain is expected,
            the noise is not known, or 10,000 seeds are not enough.
        collapsed: how often ``winner``, ``baseline`` and ``reference`` collapsed; collapsed runs are in no
            difference.
        delta_all: mean difference to the plain U-Net including collapsed runs; None if they share no seed.
    """

    winner: Placement
    iou: tuple[float, float] | None
    to_baseline: Comparison | None
    reference: str
    to_reference: Comparison | None
    modules: Mapping[Location, Comparison]
    found: Comparison | None
    n_images: int | None
    n_failed: int
    budget: Budget | None = None
    expected: float | None = None
    gain_shown: float | None = None
    seeds_needed: int | None = None
    collapsed: Mapping[str, CollapsedRuns] = field(default_factory=dict)
    delta_all: float | None = None

    @property
    def verdict(self) -> Verdict:
        """Confirmed if the interval lies above 0, refuted if it excludes the claim, else not shown.

        The interval excludes the claim in two cases. It lies below 0: the winner is worse. Or it contains 0 and
        lies below the gain that the search expects: any gain is smaller than that. A confirmed gain that is
        smaller than expected stays confirmed.
        """
        interval = None if self.to_baseline is None else self.to_baseline.interval
        if interval is None:
            return Verdict.NOT_SHOWN
        if interval.low > 0:
            return Verdict.CONFIRMED
        excluded = interval.high < 0 or (self.expected is not None and interval.high < self.expected)
        return Verdict.REFUTED if excluded else Verdict.NOT_SHOWN

    @property
    def collapses_more(self) -> bool:
        """Whether the winner collapsed in a larger share of its runs than the plain U-Net."""
        winner, plain = self.collapsed.get("winner"), self.collapsed.get("baseline")
        return winner is not None and winner.share > (plain.share if plain else 0.0)

    def to_json(self) -> str:
        """One JSON object; IoU is a fraction of 1, except in fields named points."""
        written = {
            "winner": self.winner.to_dict(),
            "placement_id": self.winner.id,
            "verdict": str(self.verdict),
            "expected_gain_points": _points(self.expected),
            "shown_by_seeds_points": _points(self.gain_shown),
            "seeds_needed": self.seeds_needed,
            "iou_winner": self.iou and self.iou[0],
            "iou_baseline": self.iou and self.iou[1],
            "to_baseline": _plain(self.to_baseline),
            "delta_with_collapsed_runs": self.delta_all,
            "collapsed": {name: one.number for name, one in self.collapsed.items()},
            "runs": {name: one.of for name, one in self.collapsed.items()},
            "reference": self.reference or None,
            "to_reference": _plain(self.to_reference),
            "modules": {str(location): _plain(comparison) for location, comparison in self.modules.items()},
            "found_by_search": _plain(self.found),
            "n_images": self.n_images,
            "n_failed": self.n_failed,
        }
        return json.dumps(written, indent=2, allow_nan=False)


def verification(
    records: Sequence[TrialRecord],
    *,
    winner: Placement,
    plain: Placement,
    reference: tuple[str, Placement] | None,
    without: Mapping[Location, Placement],
    found: Comparison | None,
    expected: float | None = None,
    confidence: float = 0.95,
) -> Verification:
    """Compare the runs of a verification.

    The winner and the plain U-Net are compared by their own differences alone (``paired.Pair``). The other
    placements only help to detect collapsed runs, which are in no comparison.

    Args:
        records: of the verification alone: none of them influenced the choice.
        winner: the placement of the claim.
        plain: the plain U-Net.
        reference: name and placement of the best reference; None if there is none.
        without: the winner without the module at each location; empty if these were not run.
        found: difference measured by the search.
        expected: gain that the search expects, above 0; None if it expects none.
        confidence: of the intervals.
    """
    evidence, word = Evidence.of(records), metric_of(records).word

    def told(estimate: Estimate | None) -> Comparison | None:
        if estimate is None:
            return None
        return Comparison(estimate.value, estimate.interval(confidence), estimate.n_seeds, word)

    def compare(other: Placement) -> Comparison | None:
        both = _rows(evidence, winner, other)
        return told(evidence.difference(*both)) if both else None

    rows = _rows(evidence, winner, plain)
    pair = Pair.of(evidence, *rows) if rows else None
    judged = {"winner": winner, "baseline": plain, **({"reference": reference[1]} if reference else {})}
    return Verification(
        winner=winner,
        iou=pair.means if pair else _means(evidence, rows),
        to_baseline=told(pair.estimate) if pair else None,
        reference=reference[0] if reference else "",
        to_reference=compare(reference[1]) if reference else None,
        modules={place: comparison for place, other in without.items() if (comparison := compare(other))},
        found=found,
        n_images=evidence.image_groups,
        n_failed=sum(record.state is State.FAILED for record in records),
        budget=evidence.selected.budget,
        expected=expected,
        gain_shown=pair.gain_shown(confidence) if pair else None,
        seeds_needed=pair.seeds_needed(expected, confidence) if pair and expected else None,
        collapsed={name: _collapsed_runs(evidence, placement) for name, placement in judged.items()},
        delta_all=_delta_all(evidence, rows),
    )


def verification_of(
    row: RankedPlacement, ranking: Ranking, verifications: Sequence[Verification]
) -> Verification | None:
    """The verification of a placement at the ranked budget; None if it was not verified.

    Args:
        row: the placement.
        ranking: to which it belongs.
        verifications: of the study.
    """
    return next(
        (one for one in verifications if one.winner == row.placement and one.budget == ranking.budget), None
    )


def lost_seeds(records: Sequence[TrialRecord], winner: Placement, plain: Placement) -> frozenset[int]:
    """Seeds with which the winner or the plain U-Net collapsed or failed, so that they cannot be compared.

    Args:
        records: of a verification.
        winner: the placement of the claim.
        plain: the plain U-Net.
    """
    failed = {r.seed for r in records if r.state is State.FAILED and r.placement in (winner, plain)}
    evidence = Evidence.of(records)
    return frozenset(failed.union(_collapsed(evidence, winner), _collapsed(evidence, plain)))


def _rows(evidence: Evidence, one: Placement, other: Placement) -> tuple[int, int] | None:
    """Rows of two placements; None if one of them has no comparable run."""
    first, second = evidence.row_of(one), evidence.row_of(other)
    return None if first is None or second is None else (first, second)


def _means(evidence: Evidence, rows: tuple[int, int] | None) -> tuple[float, float] | None:
    return (evidence.mean(rows[0]).value, evidence.mean(rows[1]).value) if rows else None


def _delta_all(evidence: Evidence, rows: tuple[int, int] | None) -> float | None:
    if rows is None:
        return None
    first, second = (evidence.selected.runs[row].scores for row in rows)
    differences = [first[seed] - second[seed] for seed in first if seed in second]
    return mean(differences) if differences else None


def _collapsed_runs(evidence: Evidence, placement: Placement) -> CollapsedRuns:
    row = evidence.row_of(placement)
    complete = 0 if row is None else len(evidence.selected.runs[row].scores)
    return CollapsedRuns(len(_collapsed(evidence, placement)), complete)


def _collapsed(evidence: Evidence, placement: Placement) -> frozenset[int]:
    """Seeds of a placement's collapsed runs.

    A seed with which the plain U-Net collapsed counts only if the placement's own scores show a collapse, too.
    """
    row = evidence.row_of(placement)
    if row is None:
        return frozenset()
    own = collapsed_seeds(evidence.selected.runs[row].scores)
    return evidence.collapses.runs[row] | (own & evidence.collapses.seeds)


def _points(iou: float | None) -> float | None:
    return None if iou is None else 100 * iou


def _plain(comparison: Comparison | None) -> dict[str, object] | None:
    return None if comparison is None else {**asdict(comparison), "versus": str(comparison.versus)}
