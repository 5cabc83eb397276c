"""The answer of a study in sentences, the same wherever it is shown."""

from __future__ import annotations

from collections.abc import Iterator

from nas_attn.analysis.convergence import Convergence
from nas_attn.analysis.result import Versus
from nas_attn.analysis.settled import Settled
from nas_attn.analysis.verdict import Decision, Open, StudyVerdict
from nas_attn.commands import command
from nas_attn.wording.budgets import changed, sight_sentence
from nas_attn.wording.costs import cost_text
from nas_attn.wording.numbers import counted, duration, points, size
from nas_attn.wording.placements import in_words
from nas_attn.wording.rankings import gained, measured, ranking_verdict
from nas_attn.wording.verifications import verdict_sentence


def answer_text(verdict: StudyVerdict) -> str:
    """The answer in one to four sentences: first what was verified, then what was only searched, last a cheaper
    placement that is as good."""
    if verdict.answer is Decision.EQUIVALENT:
        return " ".join((_equivalent(verdict), *_verified(verdict)))
    if verdict.reason is Open.NOT_CONVERGED:
        return " ".join((_too_short(verdict), *_verified(verdict)))
    if verdict.verification is None:
        return " ".join((ranking_verdict(verdict.ranking), *_for_less(verdict)))
    return " ".join((*_verified(verdict), *_withdrawn(verdict), *_for_less(verdict)))


def answer_sentences(study: str, verdict: StudyVerdict) -> tuple[str, ...]:
    """The answer, how much the best placement may gain, and what would decide, in one or two sentences each."""
    head = f"{str(verdict.answer).capitalize()}."
    text = answer_text(verdict)
    said = text if text.startswith(head[:-1]) else f"{head} {text}"
    return (said, *_reach(verdict), *_sees(verdict), *_decides(study, verdict))


def settled_text(settled: Settled, saved: int) -> str:
    """Why a search ends before it has all of its trials, and how to continue it.

    Args:
        settled: how.
        saved: number of trials that were not run.
    """
    early = f"so the search ends {counted(saved, 'trial')} early"
    if settled.decision is Decision.BETTER:
        return f"Settled: a placement gains enough to matter, {early} (--no-stop continues the search)."
    return f"Settled: no placement gains enough to matter, {early} (--no-stop continues the search)."


def _equivalent(verdict: StudyVerdict) -> str:
    return (
        "Equivalent: no placement of the attentions that were tried gains more than "
        f"{size(verdict.largest or 0.0)} {_word(verdict)} points over the baseline ({_sure(verdict)}), and "
        f"{_what_matters(verdict)}."
    )


def _what_matters(verdict: StudyVerdict) -> str:
    """The smallest gain that matters, and where it comes from if it was not given."""
    said = f"{size(verdict.worth)} is the smallest gain that matters"
    return (
        f"{said} (by default, the smallest that a search can detect at this noise)" if verdict.by_noise else said
    )


def _too_short(verdict: StudyVerdict) -> str:
    """That runs that are too short claim nothing, and what they show nevertheless."""
    curve, row = verdict.curve, verdict.row
    steps = "" if curve is None else f" of {curve.steps} steps"
    said = f"Undecided, because runs{steps} are too short{_why(curve)}."
    if row is None:
        return said
    if row.better_than_baseline is Versus.BETTER:
        first = f"{in_words(row.placement)}, {measured(row)} {_word(verdict)} points"
        return f"{said} With runs this short, first is {first}."
    return f"{said} With runs this short, no placement is significantly better than the baseline."


def _why(curve: Convergence | None) -> str:
    """Why the runs are considered too short."""
    if curve is None or curve.gain is None:
        return ""
    if curve.doubling is None or curve.is_unfinished:
        return f": twice as many steps change the baseline by {points(curve.gain)}"
    return f": doubling them {changed(curve.doubling, curve)}"


def _verified(verdict: StudyVerdict) -> Iterator[str]:
    if verdict.verification is not None:
        yield verdict_sentence(verdict.verification)


def _for_less(verdict: StudyVerdict) -> Iterator[str]:
    """A cheaper placement that is as good, if there is one."""
    if (row := verdict.as_good_for_less) is not None:
        yield (
            f"As good within the {size(verdict.worth)} points that matter, and cheaper: "
            f"{in_words(row.placement)}, expected gain {gained(row)} for {cost_text(row, verdict.ranking)}."
        )


def _withdrawn(verdict: StudyVerdict) -> Iterator[str]:
    """The claim of the search, if its verification did not confirm it."""
    row = verdict.row
    if row is not None and not verdict.verified and row.better_than_baseline is Versus.BETTER:
        yield f"The gain that the search had measured, {measured(row)}, is therefore not claimed."


def _reach(verdict: StudyVerdict) -> Iterator[str]:
    if verdict.largest is None or verdict.answer is Decision.EQUIVALENT:
        return
    yield (
        f"The best placement of the attentions that were tried gains at most {size(verdict.largest)} "
        f"{_word(verdict)} points ({_sure(verdict)}); {_what_matters(verdict)}."
    )


def _sees(verdict: StudyVerdict) -> Iterator[str]:
    """What the study could detect, if it has detected nothing."""
    if verdict.sight is not None and verdict.answer is Decision.UNDECIDED and verdict.row is not None:
        yield sight_sentence(verdict.sight, _word(verdict), worth=verdict.worth, each=verdict.run_seconds or None)


def _decides(study: str, verdict: StudyVerdict) -> Iterator[str]:
    """What would decide an open question."""
    if verdict.reason is Open.NOT_CONVERGED and verdict.curve is not None:
        yield f"Longer runs would decide: search again with --steps {2 * verdict.curve.steps} or more."
    elif verdict.further_runs:
        runs, seconds = verdict.further_runs, verdict.run_seconds
        time = f", {duration(runs * seconds)} of one worker" if seconds else ""
        yield (
            f"About {counted(runs, 'more trial')} like those so far would decide whether any placement gains "
            f"{size(verdict.worth)} {_word(verdict)} points{time}: continue with more --trials or a longer "
            "--timeout."
        )
    claimed = verdict.row is not None and verdict.row.better_than_baseline is Versus.BETTER
    if claimed and verdict.verification is None and verdict.answer is not Decision.EQUIVALENT:
        yield f"Verify it on the test data: '{command('verify', study)}'."


def _sure(verdict: StudyVerdict) -> str:
    return f"{100 * verdict.ranking.confidence:.0f} % sure"


def _word(verdict: StudyVerdict) -> str:
    return verdict.ranking.metric.word
