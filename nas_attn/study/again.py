"""A study whose plain U-Net ran out of memory, tried again: perhaps there is more of it now."""

from __future__ import annotations

import logging

from nas_attn.record import TrialRecord
from nas_attn.study.database.ledger import Ledger

log = logging.getLogger(__name__)


def begun_again(ledger: Ledger) -> tuple[TrialRecord, ...]:
    """All trials of a study, where those that ran out of memory together with the plain U-Net are under way again.

    Without the plain U-Net nothing can be compared, and the settings of a study are frozen: it would be lost for
    good by another program that held the memory at that moment. Where not even the plain U-Net fitted, a shortage
    of the trials beside it says nothing of their placements.

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
