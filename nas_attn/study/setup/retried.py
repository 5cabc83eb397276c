"""Failed trials that run again: on the user's request, or because the baseline ran out of memory too."""

from __future__ import annotations

import logging
from collections import Counter
from contextlib import nullcontext
from dataclasses import dataclass

from nas_attn.record import TrialRecord
from nas_attn.study.database.ledger import Ledger
from nas_attn.study.setup.find import find_folder, open_study

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Retried:
    """Result of a retry.

    Args:
        reasons: why the trials that run again had failed, with the number of trials for each, the most frequent
            first.
        n_kept: failed trials that stay as they are.
    """

    reasons: tuple[tuple[str, int], ...]
    n_kept: int

    @property
    def n_trials(self) -> int:
        """Number of trials that run again."""
        return sum(number for _, number in self.reasons)


def retry(study: str, storage: str | None = None, *, all_of_them: bool = False) -> Retried:
    """Let failed trials of a study run again in its next search, under their numbers.

    Args:
        study: its name, or the path of its folder.
        storage: SQLAlchemy URL; None is SQLite in the study's folder.
        all_of_them: whether to include placements that are known to have failed themselves, and would fail again.
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


def begun_again(ledger: Ledger) -> tuple[TrialRecord, ...]:
    """All trials of a study. Those that ran out of memory together with the baseline are running again.

    Without the baseline, nothing can be compared, and the settings of a study are fixed. So another program that
    used the memory at that moment would ruin the study for good. If not even the baseline fitted, a shortage of
    the trials beside it says nothing about their placements.

    Args:
        ledger: of the study.
    """
    records = ledger.records()
    if not records or records[0].shortage is None:
        return records
    short = [record for record in records if record.shortage is not None]
    # The plain U-Net comes last: where this is stopped before, it is all done again.
    reopened = [record for record in reversed(short) if ledger.reopen(record)]
    if reopened:
        beside = f", with {len(reopened) - 1} more that did so beside it" if len(reopened) > 1 else ""
        log.warning("the baseline ran out of memory before, so it is tried again%s", beside)
    return ledger.records()
