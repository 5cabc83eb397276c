"""The search itself: propose, evaluate, write down, until the study has its trials."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from nas_attn import __version__
from nas_attn.errors import StudyError
from nas_attn.record import State, TrialRecord
from nas_attn.study.agenda import Agenda
from nas_attn.study.evaluation import Evaluation
from nas_attn.study.ledger import Ledger
from nas_attn.study.pool import Finished, Pool
from nas_attn.study.settings import StudySettings

Listener = Callable[[Sequence[TrialRecord]], None]
"""Called with all records whenever one of them changes."""


def run_trials(
    settings: StudySettings, ledger: Ledger, agenda: Agenda, pool: Pool, listener: Listener
) -> tuple[TrialRecord, ...]:
    """Bring a study to its number of trials.

    A trial is decided by all trials before it but a fixed number of the latest, and by nothing else: not by
    which worker was faster. So the same settings give the same study with any timing, and a study that was
    killed goes on as if nothing had happened: a trial that was under way is evaluated again in its place.

    Args:
        settings: of the study.
        ledger: where trials are written.
        agenda: what comes next.
        pool: who evaluates.
        listener: told of every change.
    Raises:
        StudyError: the plain U-Net fails, or a worker or the storage does.
    """
    records = list(ledger.records())
    interrupted = [record for record in records if record.state is State.RUNNING]
    running: set[int] = set()
    _stop_if_hopeless(records)
    listener(records)
    while interrupted or running or len(records) < settings.trials:
        while len(running) < pool.size and (record := _next(records, interrupted, settings, ledger, agenda, pool)):
            running.add(record.number)
            pool.submit(record.number, _evaluation(record))
            listener(records)
        for finished in pool.wait():
            running.remove(finished.number)
            records[finished.number] = _write(finished, records[finished.number], settings, ledger)
            _stop_if_hopeless(records)
            listener(records)
    return tuple(records)


def _next(
    records: list[TrialRecord],
    interrupted: list[TrialRecord],
    settings: StudySettings,
    ledger: Ledger,
    agenda: Agenda,
    pool: Pool,
) -> TrialRecord | None:
    """The next trial to submit; None where it has to wait for others, or there is none."""
    if interrupted:
        return interrupted.pop(0)
    visible = max(0, len(records) - _unseen(pool.size))
    if len(records) >= settings.trials:
        return None
    if not agenda.is_control(len(records)) and any(record.state is State.RUNNING for record in records[:visible]):
        return None
    evaluation = agenda.next(records[:visible], records[visible:])
    records.append(ledger.begin(evaluation, settings.space, version=__version__))
    return records[-1]


def _unseen(workers: int) -> int:
    """How many of the latest trials have no say in the next one.

    A single worker sees all of them. Of several, one may be busy with a dear placement; the others can finish
    as many cheap ones meanwhile as this number allows.
    """
    return 0 if workers == 1 else 3 * workers - 1


def _evaluation(record: TrialRecord) -> Evaluation:
    return Evaluation(record.placement, record.budget, record.seed, record.role, record.control, record.memory)


def _write(finished: Finished, record: TrialRecord, settings: StudySettings, ledger: Ledger) -> TrialRecord:
    if finished.outcome is None:
        return ledger.fail(record, finished.failure or "no reason was given", finished.worker)
    if not math.isfinite(finished.outcome.score.iou):
        return ledger.fail(record, f"the IoU is {finished.outcome.score.iou}", finished.worker)
    return ledger.complete(record, finished.outcome, settings.cost, finished.worker)


def _stop_if_hopeless(records: Sequence[TrialRecord]) -> None:
    """Without the plain U-Net, the first trial of every study, there is nothing to compare with."""
    if records and records[0].state is State.FAILED:
        raise StudyError(f"the plain U-Net cannot be trained, so nothing can be compared: {records[0].failure}")
