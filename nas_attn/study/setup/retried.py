"""Failed trials of a study that are to be begun anew."""

from __future__ import annotations

from collections import Counter
from contextlib import nullcontext
from dataclasses import dataclass

from nas_attn.study.setup.find import find_folder, open_study


@dataclass(frozen=True)
class Retried:
    """What was done.

    Args:
        reasons: why the trials had failed that are begun anew, and how many had for each, the most frequent first.
        n_kept: failed trials that stay as they are.
    """

    reasons: tuple[tuple[str, int], ...]
    n_kept: int

    @property
    def n_trials(self) -> int:
        """How many trials are begun anew."""
        return sum(number for _, number in self.reasons)


def retry(study: str, storage: str | None = None, *, all_of_them: bool = False) -> Retried:
    """Let failed trials of a study run again with its next search, each in its place.

    Args:
        study: its name, or the path of its folder.
        storage: SQLAlchemy URL; None is SQLite in the study's folder.
        all_of_them: also those that are known to have failed by themselves, which would fail again.
    Raises:
        StudyError: there is no such study, another process searches it, or it cannot be written.
    """
    # No search of this folder runs meanwhile; those of other machines are known by their claims.
    with find_folder(study).locked() if storage is None else nullcontext():
        ledger = open_study(study, storage)
        failed = ledger.failures()
        again = [one for one in failed if all_of_them or not one.is_own]
        if again:
            ledger.begin_anew([one.number for one in again])
    return Retried(tuple(Counter(one.reason for one in again).most_common()), len(failed) - len(again))
