"""What a study claims, and which runs would show it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from nas_attn.analysis import Interval, RankedPlacement, Ranking
from nas_attn.analysis.result import claimed_row
from nas_attn.analysis.verification import Comparison
from nas_attn.architecture import pick
from nas_attn.budget import Budget
from nas_attn.errors import StudyError
from nas_attn.models.placement import NONE, Location, Placement
from nas_attn.record import Role, TrialRecord
from nas_attn.strategy.evaluation import Evaluation

_LEAST_GAIN = 0.0005
_APART = 1_000_000
"""Seeds between the search's last and a verification's first: a search that goes on does not get there."""


@dataclass(frozen=True)
class Claim:
    """That a placement is better than the plain U-Net, by the gain that the search expects.

    Args:
        winner: the placement.
        reference: the best other reference of the search; None where there is none.
        reference_name: of it; empty where there is none.
        budget: of the runs that were ranked.
        first_seed: no run of the search had it or a larger one.
        found: the difference to the plain U-Net that the search measured; None where it is not known.
        expected: gain over the plain U-Net that the search expects; None where that is none.
    """

    winner: Placement
    reference: Placement | None
    reference_name: str
    budget: Budget
    first_seed: int
    found: Comparison | None
    expected: float | None = None

    @classmethod
    def of(cls, records: Sequence[TrialRecord], ranking: Ranking, how: str | None = None) -> Claim:
        """What a ranking claims of one of its placements.

        Args:
            records: of the study.
            ranking: of these records.
            how: which placement, as in an export; None for the first that is better than the plain U-Net, and
                where there is none for the first with attention.
        Raises:
            StudyError: nothing is ranked, or the placement is the plain U-Net.
            NasAttnError: ``how`` picks nothing.
        """
        if ranking.budget is None:
            raise StudyError("there is nothing to verify: no trial of the study is complete")
        row = claimed_row(ranking) if how is None else pick(ranking, how)
        if row is None:
            raise StudyError("there is no claim to verify: only the baseline was evaluated")
        if row.is_plain:
            raise StudyError(
                f"there is no claim to verify: --pick {how} is the baseline; leave it out, or name a placement "
                "with --pick id:ID"
            )
        others = (r for r in ranking.rows if r.reference and not r.is_plain and r.placement != row.placement)
        reference = next(others, None)
        return cls(
            winner=row.placement,
            reference=reference.placement if reference else None,
            reference_name=(reference.reference or "") if reference else "",
            budget=ranking.budget,
            first_seed=max(record.seed for record in records) + _APART,
            found=_found(row, ranking.metric.word),
            expected=_above_nothing(row.gain),
        )

    @property
    def plain(self) -> Placement:
        """The plain U-Net."""
        return self.winner.plain

    @property
    def ablations(self) -> dict[Location, Placement]:
        """The winner without the attention at each of its locations; none where it has only one."""
        attended = [location for location, _ in self.winner.attended]
        if len(attended) < 2:
            return {}
        return {location: self.winner.replace(location, NONE) for location in attended}

    def evaluations(self, n_seeds: int, *, ablate: bool) -> list[Evaluation]:
        """The runs that it takes, seed by seed, so that what is there after a stop can be compared.

        Args:
            n_seeds: how many fresh seeds.
            ablate: whether the winner also runs without each of its modules.
        """
        compared = [self.plain, self.winner, *([self.reference] if self.reference else [])]
        placements = dict.fromkeys([*compared, *(self.ablations.values() if ablate else ())])
        return [
            Evaluation(placement, self.budget, self.first_seed + index, Role.FINALIST)
            for index in range(n_seeds)
            for placement in placements
        ]

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {
            "winner": self.winner.to_dict(),
            "control": self.reference.to_dict() if self.reference else None,
            "control name": self.reference_name,
            "budget": self.budget.to_dict(),
            "first seed": self.first_seed,
            "found": asdict(self.found) if self.found else None,
            "expected": self.expected,
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Claim:
        """The inverse of ``to_dict``."""
        found = _comparison(values["found"])
        measured = None if found is None else found.delta  # all that an older version has kept
        return cls(
            winner=Placement.from_dict(values["winner"]),
            reference=Placement.from_dict(values["control"]) if values["control"] else None,
            reference_name=values["control name"],
            budget=Budget.from_dict(values["budget"]),
            first_seed=values["first seed"],
            found=found,
            expected=values["expected"] if "expected" in values else _above_nothing(measured),
        )


def _found(row: RankedPlacement, word: str) -> Comparison | None:
    """What the search measured."""
    return None if row.delta is None else Comparison(row.delta, row.delta_interval, row.n_seeds, word)


def _above_nothing(gain: float | None) -> float | None:
    """A gain that a tenth of a point can tell."""
    return gain if gain is not None and gain >= _LEAST_GAIN else None


def _comparison(values: dict[str, Any] | None) -> Comparison | None:
    if values is None:
        return None
    interval = Interval(**values["interval"]) if values["interval"] else None
    return Comparison(values["delta"], interval, values["n_seeds"], values.get("word", "IoU"))
