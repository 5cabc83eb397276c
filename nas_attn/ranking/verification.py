"""Whether a claim holds on runs and data that did not choose it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from nas_attn.budget import Budget
from nas_attn.placement import Location, Placement
from nas_attn.ranking.describe import bounds, counted, in_words, points
from nas_attn.ranking.evidence import Evidence
from nas_attn.ranking.result import Interval, Versus
from nas_attn.record import State, TrialRecord


@dataclass(frozen=True)
class Comparison:
    """A paired difference.

    Args:
        delta: mean over the seeds that both have, in units of IoU.
        interval: over seeds and images; None where the noise is not known.
        n_seeds: how many seeds.
    """

    delta: float
    interval: Interval | None
    n_seeds: int

    @property
    def versus(self) -> Versus:
        """Whether the interval excludes 0."""
        if self.interval is None:
            return Versus.UNKNOWN
        if not self.interval.excludes(0.0):
            return Versus.NOT_DISTINGUISHABLE
        return Versus.BETTER if self.interval.low > 0 else Versus.WORSE

    @property
    def text(self) -> str:
        """``+0.9 IoU points (0.4 to 1.4, 5 seeds)``."""
        known = [] if self.interval is None else [bounds(self.interval)]
        return f"{points(self.delta)} IoU points ({', '.join([*known, counted(self.n_seeds, 'seed')])})"


@dataclass(frozen=True)
class Verification:
    """What fresh seeds and the test data say of a claim.

    Args:
        winner: the placement of the claim.
        iou: mean IoU on the test data of the winner and the plain U-Net; None where a run is missing.
        to_plain: the winner's difference to the plain U-Net; None where they share no seed.
        control: name of the best control; empty where there is none.
        to_control: the winner's difference to it; None where they share no seed.
        modules: what each module adds to the winner: the winner's difference to itself without it.
        found: what the search had found; None where that is not known.
        n_images: test images or clips, or groups of them; None where they were not counted.
        n_failed: runs that failed.
        budget: of the runs; None where none is complete.
    """

    winner: Placement
    iou: tuple[float, float] | None
    to_plain: Comparison | None
    control: str
    to_control: Comparison | None
    modules: Mapping[Location, Comparison]
    found: Comparison | None
    n_images: int | None
    n_failed: int
    budget: Budget | None = None

    @property
    def holds(self) -> bool | None:
        """The winner is better than the plain U-Net; None where that cannot be told."""
        if self.to_plain is None or self.to_plain.versus is Versus.UNKNOWN:
            return None
        return self.to_plain.versus is Versus.BETTER

    @property
    def sentences(self) -> tuple[str, ...]:
        """The verdict, and what else is known of the whole winner, a sentence each."""
        found = [self._verdict(), self._versus_control(), self._ious()]
        if self.n_failed:
            found.append(f"{counted(self.n_failed, 'run')} failed and had no say.")
        return tuple(sentence for sentence in found if sentence)

    @property
    def module_sentences(self) -> tuple[str, ...]:
        """What each module adds, a sentence each; empty where the winner was not run without them."""
        return tuple(
            f"{self.winner[location]} at {location} adds {comparison.text} to it."
            for location, comparison in self.modules.items()
        )

    def _verdict(self) -> str:
        name = in_words(self.winner)
        if self.to_plain is None:
            return f"Not known whether the claim holds: {name} and the plain U-Net have no seed in common."
        had = f" The search had found {self.found.text}." if self.found else ""
        where = "on the test data, with seeds that did not choose it"
        match self.to_plain.versus:
            case Versus.BETTER:
                said = f"The claim holds: {name} is better than the plain U-Net {where}: {self.to_plain.text}."
            case Versus.WORSE:
                said = (
                    f"The claim does not hold: {name} is worse than the plain U-Net {where}: {self.to_plain.text}."
                )
            case Versus.NOT_DISTINGUISHABLE:
                said = (
                    f"The claim does not hold: {name} cannot be told from the plain U-Net {where}: "
                    f"{self.to_plain.text}."
                )
            case _:
                said = f"Not known whether the claim holds: {self.to_plain.text} tell nothing of the noise."
        return said + had

    def _versus_control(self) -> str:
        if self.to_control is None:
            return ""
        words = {
            Versus.BETTER: "It is better than the best control",
            Versus.WORSE: "It is worse than the best control",
            Versus.NOT_DISTINGUISHABLE: "It cannot be told from the best control",
            Versus.UNKNOWN: "Beside the best control it has",
        }
        return f"{words[self.to_control.versus]}, {self.control}: {self.to_control.text}."

    def _ious(self) -> str:
        if self.iou is None:
            return ""
        winner, plain = (f"{100 * iou:.1f}" for iou in self.iou)
        return f"IoU x100 on the test data: {winner}, plain U-Net {plain}."

    def to_json(self) -> str:
        """One object; IoU is a fraction of 1."""
        written = {
            "winner": self.winner.to_dict(),
            "placement_id": self.winner.id,
            "holds": self.holds,
            "iou_winner": self.iou and self.iou[0],
            "iou_plain": self.iou and self.iou[1],
            "to_plain": _plain(self.to_plain),
            "control": self.control or None,
            "to_control": _plain(self.to_control),
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
    control: tuple[str, Placement] | None,
    without: Mapping[Location, Placement],
    found: Comparison | None,
    confidence: float = 0.95,
) -> Verification:
    """Compare the runs of a verification.

    Args:
        records: of the verification alone: none of them had a say in the choice.
        winner: the placement of the claim.
        plain: the plain U-Net.
        control: name and placement of the best control; None where there is none.
        without: the winner without the module at each location; empty where that was not run.
        found: what the search had found.
        confidence: of the intervals.
    """
    evidence = Evidence.of(records, chosen=False)

    def compare(other: Placement) -> Comparison | None:
        one, two = evidence.row_of(winner), evidence.row_of(other)
        if one is None or two is None:
            return None
        if not set(evidence.reported[one]) & set(evidence.reported[two]):
            return None
        estimate = evidence.difference(one, two)
        return Comparison(estimate.value, estimate.interval(confidence), round(estimate.n_seeds))

    rows = evidence.row_of(winner), evidence.row_of(plain)
    ious = (
        None
        if rows[0] is None or rows[1] is None
        else (evidence.mean(rows[0]).value, evidence.mean(rows[1]).value)
    )
    modules = {location: comparison for location, other in without.items() if (comparison := compare(other))}
    return Verification(
        winner=winner,
        iou=ious,
        to_plain=compare(plain),
        control=control[0] if control else "",
        to_control=compare(control[1]) if control else None,
        modules=modules,
        found=found,
        n_images=evidence.image_groups,
        n_failed=sum(record.state is State.FAILED for record in records),
        budget=evidence.selected.budget,
    )


def _plain(comparison: Comparison | None) -> dict[str, object] | None:
    return None if comparison is None else {**asdict(comparison), "versus": str(comparison.versus)}
