"""Whether what a ranking says of a placement holds on fresh seeds and the test data, or how to find that out."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from nas_attn.placement import Placement
from nas_attn.ranking.result import RankedPlacement, Ranking
from nas_attn.ranking.verification import Verification


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


def holding_sentences(
    study: str, row: RankedPlacement, ranking: Ranking, verifications: Sequence[Verification]
) -> tuple[str, ...]:
    """The figure to report of a placement, or the command that finds it; nothing of the plain U-Net.

    Args:
        study: its name.
        row: the placement.
        ranking: to which it belongs.
        verifications: of the study.
    """
    if row.is_plain:
        return ()
    found = verification_of(row, ranking, verifications)
    if found is None:
        return (unverified_sentence(study, row.placement, row.rank),)
    return (*found.sentences, *looks_sentences(len(verifications)))


def module_sentences(
    study: str, row: RankedPlacement, ranking: Ranking, verifications: Sequence[Verification]
) -> tuple[str, ...]:
    """What each module of a verified placement adds to it, or the command that finds it out.

    Args:
        study: its name.
        row: the placement.
        ranking: to which it belongs.
        verifications: of the study.
    """
    found = verification_of(row, ranking, verifications)
    if found is None or len(row.placement.attended) < 2:
        return ()
    if found.modules:
        return found.module_sentences
    command = f"{verify_command(study, row.placement, row.rank)} --ablate"
    return (f"What each module adds was not measured: '{command}' runs the placement without each of them.",)


def verify_command(study: str, placement: Placement, rank: int) -> str:
    """The command that verifies a placement of a study."""
    which = "" if rank == 1 else f" --pick id:{placement.id}"
    return f"nas-attn verify {shlex.quote(study)}{which}"


def unverified_sentence(study: str, placement: Placement, rank: int) -> str:
    """That a placement was not verified yet, and the command that does it.

    Args:
        study: its name.
        placement: that may be verified.
        rank: in the study.
    """
    return (
        f"Not verified yet: '{verify_command(study, placement, rank)}' runs it, the plain U-Net and the best "
        "control with fresh seeds and judges them on the test data. That is the figure to report."
    )


def looks_sentences(n_looks: int) -> tuple[str, ...]:
    """What it means that several placements were judged on the test data; nothing where it was one.

    Args:
        n_looks: how many placements of a study.
    """
    if n_looks < 2:
        return ()
    return (
        f"{n_looks} placements of this study were judged on the test data by now: what is picked among them for "
        "that is no longer verified by these data.",
    )
