"""What fresh seeds and the test data say of a ranked placement, or the command that finds it out."""

from __future__ import annotations

from collections.abc import Sequence

from nas_attn.analysis.result import RankedPlacement, Ranking, claimed_row
from nas_attn.analysis.verification import Verification, verification_of
from nas_attn.commands import command
from nas_attn.models.placement import Placement
from nas_attn.wording.verifications import ablation_sentences, verification_sentences


def confirmation_sentences(
    study: str, row: RankedPlacement, ranking: Ranking, verifications: Sequence[Verification]
) -> tuple[str, ...]:
    """The figure to report of a placement, or the command that finds it; nothing of the plain U-Net."""
    if row.is_plain:
        return ()
    found, verify = verification_of(row, ranking, verifications), _command(study, row, ranking)
    if found is None:
        return (unverified_sentence(verify),)
    return (*verification_sentences(found, verify), *looks_sentences(len(verifications)))


def module_sentences(
    study: str, row: RankedPlacement, ranking: Ranking, verifications: Sequence[Verification]
) -> tuple[str, ...]:
    """What each module of a verified placement adds to it, or the command that finds it out."""
    found = verification_of(row, ranking, verifications)
    if found is None or len(row.placement.attended) < 2:
        return ()
    if found.modules:
        return ablation_sentences(found)
    verify = f"{_command(study, row, ranking)} --ablate"
    return (f"What each module adds was not measured: '{verify}' runs the placement without each of them.",)


def verify_command(study: str, placement: Placement | None = None) -> str:
    """The command that verifies a placement of a study; None is what is verified without being named."""
    return command("verify", study, pick=None if placement is None else f"id:{placement.id}")


def unverified_sentence(verify: str) -> str:
    """That a placement was not verified yet, and the command ``verify`` that does it."""
    return (
        f"Not verified yet: '{verify}' runs it, the baseline and the best reference architecture with fresh seeds "
        "and judges them on the test data. That is the figure to report."
    )


def _command(study: str, row: RankedPlacement, ranking: Ranking) -> str:
    return verify_command(study, None if row == claimed_row(ranking) else row.placement)


def looks_sentences(n_looks: int) -> tuple[str, ...]:
    """What it means that so many placements of a study were judged on the test data; nothing where it was one."""
    if n_looks < 2:
        return ()
    return (
        f"{n_looks} placements of this study were judged on the test data by now: what is picked among them for "
        "that is no longer verified by these data.",
    )
