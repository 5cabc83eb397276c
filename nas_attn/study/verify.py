"""Verify a claim: run it with fresh seeds, evaluate it on the test data, and keep the search's own trials
apart."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import replace

from nas_attn import __version__
from nas_attn.architecture import read_architecture
from nas_attn.data import without_validation
from nas_attn.errors import DataError, StudyError
from nas_attn.metric import METRICS
from nas_attn.models.catalogue import catalogue
from nas_attn.record import State, TrialRecord, n_ended
from nas_attn.strategy.evaluation import Evaluation
from nas_attn.study.answer import answer_of
from nas_attn.study.claim import Claim
from nas_attn.study.database.claims import alone
from nas_attn.study.database.ledger import Ledger
from nas_attn.study.loop import end_trial
from nas_attn.study.setup.checks import is_judged
from nas_attn.study.setup.folder import StudyFolder, alone_with
from nas_attn.study.setup.own_files import is_own_best
from nas_attn.study.setup.resolve import Resolved
from nas_attn.study.study_pool import processes
from nas_attn.study.verified import (
    NewBest,
    VerifiedClaim,
    n_looks,
    verification_name,
    verified_claim,
    wanted_evaluations,
)
from nas_attn.study.winner import write_best
from nas_attn.study.workers.pool import Pool

Listener = Callable[[int, int], None]
"""Called with the number of finished runs, and the number of all."""


def verify(
    resolved: Resolved,
    folder: StudyFolder,
    claim: Claim,
    *,
    n_seeds: int,
    ablate: bool,
    listener: Listener,
    pool: AbstractContextManager[Pool] | None = None,
) -> VerifiedClaim:
    """Run a verification and return its result.

    The runs are a study of their own in the same storage, named after the study and the winner. So the search's
    trials stay as they are, and a stopped verification can be resumed. A placement is evaluated once with each
    seed on the test data; further seeds are added to those that ran. A seed with which the winner or the baseline
    collapsed or failed is replaced, for at most half of the seeds (at least two). The best architecture in the
    study's folder is updated by the result, unless it was changed by hand.

    Args:
        resolved: the search.
        folder: of the study.
        claim: to verify; an earlier verification of the same winner keeps its own.
        n_seeds: number of fresh seeds for each placement.
        ablate: whether the winner also runs without each of its modules.
        listener: called with the progress.
        pool: evaluates the runs; None starts one process per worker.
    Raises:
        StudyError: it is already being verified, or cannot be stored.
        DataError: the test masks have no class that the study's metric uses.
    """
    _check_test_data(resolved)
    beside = StudyFolder(folder.path / "verify")
    beside.make()
    lock = beside.path / "lock"
    taken = f"study '{resolved.settings.study}' is being verified by another process; wait for it"
    with ExitStack() as stack:
        stack.enter_context(alone_with(lock, taken, f"{lock}: cannot be written"))
        ledger = _ledger(resolved, claim)
        stack.enter_context(alone(ledger.claims(), taken))
        kept = Claim.from_dict(ledger.identity["claim"])
        records = list(ledger.records())
        if work := _left(records, kept, n_seeds, ablate):
            with pool or processes(_judged_on_test(resolved), beside, "worker") as workers:
                while work:
                    _run(resolved, ledger, records, work, workers, listener)
                    work = _left(records, kept, n_seeds, ablate)
    result = verified_claim(records, kept, ablated=ablate)
    looks = n_looks(ledger, resolved.settings.study)
    return VerifiedClaim(result, tuple(records), looks, _new_best(resolved, folder))


def _new_best(resolved: Resolved, folder: StudyFolder) -> NewBest | None:
    """Write the best architecture by everything that is known now. It only replaces a file that the search has
    written."""
    ledger = Ledger.open(resolved.url, resolved.settings.study)
    if not is_own_best(folder, ledger):
        return None
    before = read_architecture(folder.best, catalogue()).placement
    answer = answer_of(ledger)
    path = write_best(ledger, ledger.records(), answer, folder)
    if path is None or answer.winner is None or answer.winner.placement == before:
        return None
    return NewBest(path, answer.winner.placement)


def _check_test_data(resolved: Resolved) -> None:
    """Check that the study's metric can be computed on the test data, before anything is trained.

    Raises:
        DataError: no test mask has a class that it uses.
    """
    settings, dataset = resolved.settings, resolved.dataset
    if not is_judged(settings.metric, dataset.test, dataset.classes):
        raise DataError(
            f"the study compares by {METRICS[settings.metric].title}, and no test mask of {dataset.name} holds a "
            f"class but {dataset.classes[0]}, so nothing can be verified; label some in test"
        )


_Work = list[TrialRecord | Evaluation]
"""Runs that were interrupted, and runs that have to start."""


def _left(records: Sequence[TrialRecord], claim: Claim, n_seeds: int, ablate: bool) -> _Work:
    wanted = wanted_evaluations(records, claim, n_seeds, ablate=ablate)
    begun = {(record.placement, record.seed) for record in records}
    interrupted = (record for record in records if record.state is State.RUNNING)
    return [*interrupted, *(one for one in wanted if (one.placement, one.seed) not in begun)]


def _run(
    resolved: Resolved, ledger: Ledger, records: list[TrialRecord], work: _Work, pool: Pool, listener: Listener
) -> None:
    n_wanted, running = len(records) + sum(isinstance(one, Evaluation) for one in work), 0
    while work or running:
        while running < pool.size and work:
            record = _begun(resolved, ledger, work.pop(0))
            if record.number == len(records):
                records.append(record)
            pool.submit(record.number, Evaluation.of(record))
            running += 1
        for finished in pool.wait():
            running -= 1
            ended = end_trial(finished, records[finished.number], resolved.settings, ledger)
            if ended is None:
                raise StudyError(f"run {finished.number} of the verification was ended by another process")
            records[finished.number] = ended
            listener(n_ended(records), n_wanted)


def _begun(resolved: Resolved, ledger: Ledger, one: TrialRecord | Evaluation) -> TrialRecord:
    """A running trial, under its number if it was interrupted."""
    if isinstance(one, TrialRecord):
        return one
    record = ledger.begin(one, resolved.settings.space, version=__version__)
    if record is None:
        raise StudyError("another process writes to the verification")
    return record


def _ledger(resolved: Resolved, claim: Claim) -> Ledger:
    """The ledger of the verification of this winner, created if there is none."""
    url, study = resolved.url, resolved.settings.study
    name = verification_name(study, claim)
    if Ledger.exists(url, name):
        return Ledger.open(url, name)
    identity = {**resolved.settings.identity(), "claim": claim.to_dict()}
    return Ledger.create(url, name, identity, resolved.settings.context(), resolved.settings.cost)


def _judged_on_test(resolved: Resolved) -> Resolved:
    """The same search with the test data instead of the validation data; with folds, all of them are trained
    on."""
    if resolved.settings.folds:
        settings = replace(resolved.settings, folds=())
        return replace(resolved, dataset=without_validation(resolved.dataset), settings=settings)
    return replace(resolved, dataset=replace(resolved.dataset, val=resolved.dataset.test))
