"""Which placement a study claims to be better, and the verification of a placement."""

from __future__ import annotations

from collections.abc import Sequence

from nas_attn.analysis.result import RankedPlacement, Ranking, Versus
from nas_attn.analysis.verification import Verification


def claimed_row(ranking: Ranking) -> RankedPlacement | None:
    """What is verified without being named; None where only the plain U-Net was evaluated.

    The first row that is better than the plain U-Net, or else the first with attention.

    Args:
        ranking: of a study.
    """
    attended = [row for row in ranking.rows if not row.is_plain]
    better = (row for row in attended if row.better_than_plain is Versus.BETTER)
    return next(better, attended[0] if attended else None)


def verification_of(
    row: RankedPlacement, ranking: Ranking, verifications: Sequence[Verification]
) -> Verification | None:
    """The verification of a placement at the budget that is ranked; None where it was not verified.

    Args:
        row: the placement.
        ranking: to which it belongs.
        verifications: of the study.
    """
    return next(
        (one for one in verifications if one.winner == row.placement and one.budget == ranking.budget), None
    )
