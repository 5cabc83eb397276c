"""What a study claims, and which runs would show whether that holds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from nas_attn.budget import Budget
from nas_attn.errors import StudyError
from nas_attn.export import pick
from nas_attn.placement import NONE, Location, Placement
from nas_attn.ranking import Interval, Ranking
from nas_attn.ranking.verification import Comparison
from nas_attn.record import Role, TrialRecord
from nas_attn.study.evaluation import Evaluation

_APART = 1_000_000
"""Seeds between the search's last and a verification's first: a search that goes on does not get there."""


@dataclass(frozen=True)
class Claim:
    """That a placement is better than the plain U-Net.

    Args:
        winner: the placement.
        control: the best other control of the search; None where there is none.
        control_name: of it; empty where there is none.
        budget: of the runs that were ranked.
        first_seed: no run of the search had it or a larger one.
        found: the difference to the plain U-Net that the search found; None where it is not known.
    """

    winner: Placement
    control: Placement | None
    control_name: str
    budget: Budget
    first_seed: int
    found: Comparison | None

    @classmethod
    def of(cls, records: Sequence[TrialRecord], ranking: Ranking, how: str = "best") -> Claim:
        """What a ranking claims of one of its placements.

        Args:
            records: of the study.
            ranking: of these records.
            how: which placement, as in an export.
        Raises:
            StudyError: nothing is ranked, or the placement is the plain U-Net.
            NasAttnError: ``how`` picks nothing.
        """
        if ranking.budget is None:
            raise StudyError("there is nothing to verify: no trial of the study is complete")
        row = pick(ranking, how)
        if row.is_plain:
            raise StudyError(
                "there is no claim to verify: the plain U-Net leads; name a placement with --pick id:ID"
            )
        others = (r for r in ranking.rows if r.control and not r.is_plain and r.placement != row.placement)
        control = next(others, None)
        return cls(
            winner=row.placement,
            control=control.placement if control else None,
            control_name=(control.control or "") if control else "",
            budget=ranking.budget,
            first_seed=max(record.seed for record in records) + _APART,
            found=None if row.delta is None else Comparison(row.delta, row.delta_interval, row.n_seeds),
        )

    @property
    def plain(self) -> Placement:
        """The plain U-Net."""
        return Placement(tuple((location, NONE) for location, _ in self.winner))

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
        compared = [self.plain, self.winner, *([self.control] if self.control else [])]
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
            "control": self.control.to_dict() if self.control else None,
            "control name": self.control_name,
            "budget": self.budget.to_dict(),
            "first seed": self.first_seed,
            "found": asdict(self.found) if self.found else None,
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Claim:
        """The inverse of ``to_dict``."""
        return cls(
            winner=Placement.from_dict(values["winner"]),
            control=Placement.from_dict(values["control"]) if values["control"] else None,
            control_name=values["control name"],
            budget=Budget.from_dict(values["budget"]),
            first_seed=values["first seed"],
            found=_comparison(values["found"]),
        )


def _comparison(values: dict[str, Any] | None) -> Comparison | None:
    if values is None:
        return None
    interval = Interval(**values["interval"]) if values["interval"] else None
    return Comparison(values["delta"], interval, values["n_seeds"])
