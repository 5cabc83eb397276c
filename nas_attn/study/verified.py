"""Results of the verifications of a study; each verification is a study of its own in the same storage."""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass
from pathlib import Path

from nas_attn.analysis.verification import Verification, lost_seeds, verification
from nas_attn.models.placement import Placement
from nas_attn.record import TrialRecord, n_ended
from nas_attn.strategy.evaluation import Evaluation
from nas_attn.study.claim import Claim
from nas_attn.study.database.ledger import Ledger

_MARK = ".verify-"

_LEAST_REPLACED = 2


@dataclass(frozen=True)
class NewBest:
    """A new best architecture of a study after a verification.

    Args:
        path: of its file, which had another one before.
        placement: that the study's answer names.
    """

    path: Path
    placement: Placement


@dataclass(frozen=True)
class VerifiedClaim:
    """A verification with its evidence.

    Args:
        result: of the verification.
        records: its runs, scored on the test data.
        n_looks: number of placements of the study that were evaluated on the test data so far, this one included.
        new_best: the study's new best architecture; None if it has not changed.
    """

    result: Verification
    records: tuple[TrialRecord, ...]
    n_looks: int
    new_best: NewBest | None = None


def verification_name(study: str, claim: Claim) -> str:
    """Name of the study that verifies a claim of another: a placement at a budget."""
    return f"{study}{_MARK}{claim.winner.id}-{claim.budget.steps}"


def n_looks(ledger: Ledger, study: str) -> int:
    """Number of placements of a study that were evaluated on the test data.

    Args:
        ledger: of any study in the same storage.
        study: name of the study.
    """
    return len(ledger.beginning_with(f"{study}{_MARK}"))


def n_runs(ledger: Ledger) -> int:
    """Number of runs of all verifications of a study that have ended."""
    beside = ledger.beginning_with(f"{ledger.name}{_MARK}")
    return sum(n_ended(one.records()) for one in beside)


def read_verifications(ledger: Ledger) -> tuple[Verification, ...]:
    """The verifications of a study, with their ablations; those without a complete run are left out.

    Args:
        ledger: of the study.
    Raises:
        StudyError: the storage cannot be read.
    """
    found = [
        verified_claim(one.records(), Claim.from_dict(one.identity["claim"]))
        for one in ledger.beginning_with(f"{ledger.name}{_MARK}")
    ]
    return tuple(one for one in found if one.budget is not None)


def verified_claim(records: Sequence[TrialRecord], claim: Claim, *, ablated: bool = True) -> Verification:
    """The result of the runs for a claim.

    Args:
        records: of the claim's verification.
        claim: that they verify.
        ablated: whether to compare the winner with itself without its modules, if that was run.
    """
    return verification(
        records,
        winner=claim.winner,
        plain=claim.plain,
        reference=(claim.reference_name, claim.reference) if claim.reference else None,
        without=claim.ablations if ablated else {},
        found=claim.found,
        expected=claim.expected,
    )


def wanted_evaluations(
    records: Sequence[TrialRecord], claim: Claim, n_seeds: int, *, ablate: bool
) -> list[Evaluation]:
    """The runs of a verification, including those that replace lost seeds.

    Args:
        records: of the verification so far.
        claim: that is verified.
        n_seeds: number of seeds that should count.
        ablate: whether the winner also runs without each of its modules.
    """
    lost = lost_seeds(records, claim.winner, claim.plain)
    return claim.evaluations(n_with_replacements(claim.first_seed, n_seeds, lost), ablate=ablate)


def most_replaced(n_seeds: int) -> int:
    """Maximum number of lost seeds that are replaced: half of the seeds, but at least two."""
    return max(_LEAST_REPLACED, n_seeds // 2)


def n_with_replacements(first_seed: int, n_seeds: int, lost: Set[int]) -> int:
    """Number of consecutive seeds until ``n_seeds`` of them are not lost, as far as lost ones are replaced.

    Args:
        first_seed: of the verification.
        n_seeds: that are wanted.
        lost: seeds with which the winner or the baseline collapsed or failed.
    """
    number = n_seeds
    while number < n_seeds + most_replaced(n_seeds):
        if number - sum(first_seed <= seed < first_seed + number for seed in lost) >= n_seeds:
            break
        number += 1
    return number
