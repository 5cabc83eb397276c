"""The claim of a study, and the runs that verify it."""

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
"""Distance between the last seed of the search and the first of a verification; a continued search does not get
that far."""


@dataclass(frozen=True)
class Claim:
    """The claim that a placement is better than the baseline, by the gain that the search expects.

    Args:
        winner: the placement.
        reference: the best other reference architecture of the search; None if there is none.
        reference_name: its name; empty if there is none.
        budget: of the ranked runs.
        first_seed: larger than every seed of the search.
        found: the difference to the baseline that the search measured; None if it is not known.
        expected: gain over the baseline that the search expects; None if there is none.
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
        """The claim of a ranking about one of its placements.

        Args:
            records: of the study.
            ranking: of these records.
            how: which placement, as in an export; None takes the first that is better than the baseline, or if
                there is none, the first with attention.
        Raises:
            StudyError: nothing is ranked, or the placement is the baseline.
            NasAttnError: ``how`` selects nothing.
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
        """The baseline."""
        return self.winner.plain

    @property
    def ablations(self) -> dict[Location, Placement]:
        """The winner without the attention at each of its locations; empty if it has only one."""
        attended = [location for location, _ in self.winner.attended]
        if len(attended) < 2:
            return {}
        return {location: self.winner.replace(location, NONE) for location in attended}

    def evaluations(self, n_seeds: int, *, ablate: bool) -> list[Evaluation]:
        """The runs of a verification, seed by seed, so that a stopped verification can be compared too.

        Args:
            n_seeds: number of fresh seeds.
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
    """The difference that the search measured."""
    return None if row.delta is None else Comparison(row.delta, row.delta_interval, row.n_seeds, word)


def _above_nothing(gain: float | None) -> float | None:
    """A gain of at least a tenth of a point."""
    return gain if gain is not None and gain >= _LEAST_GAIN else None


def _comparison(values: dict[str, Any] | None) -> Comparison | None:
    if values is None:
        return None
    interval = Interval(**values["interval"]) if values["interval"] else None
    return Comparison(values["delta"], interval, values["n_seeds"], values.get("word", "IoU"))
