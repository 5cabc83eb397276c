"""The answer of a study at the top of the page: five figures, and whether its gain is confirmed."""

from __future__ import annotations

from collections.abc import Iterator

from nas_attn.analysis import RankedPlacement, cost_of
from nas_attn.analysis.costs import cost_ratio
from nas_attn.analysis.detection import rounded_up
from nas_attn.analysis.verdict import Decision, StudyVerdict
from nas_attn.analysis.verification import Verdict, verification_of
from nas_attn.architecture.pick import UNITS
from nas_attn.reporting.page.facts import StudyFacts
from nas_attn.reporting.page.labels import delta
from nas_attn.reporting.page.markup import safe
from nas_attn.wording.costs import COST_WORDS, percent_more
from nas_attn.wording.numbers import amount, bounds, counted, points, size
from nas_attn.wording.verifications import confirmation_sentences, module_sentences, verdict_sentence

_ANSWERS = {Decision.BETTER: "Yes", Decision.EQUIVALENT: "No", Decision.UNDECIDED: "Not decided"}
_VERIFIED = {
    Verdict.CONFIRMED: "yes, confirmed",
    Verdict.REFUTED: "yes, refuted",
    Verdict.NOT_SHOWN: "yes, not shown",
}


def answer_box(facts: StudyFacts) -> str:
    """The answer as HTML: whether attention is worth it, its gain and cost, the verification, and what the study
    can detect."""
    if not facts.ranking.rows:
        return ""
    cards = "".join(
        f"<div><dt>{safe(name)}</dt><dd>{safe(text)}<small>{safe(more)}</small></dd></div>"
        for name, text, more in _cards(facts)
    )
    return f'<dl class="verdict-box" aria-label="answer">{cards}</dl>'


def _cards(facts: StudyFacts) -> Iterator[tuple[str, str, str]]:
    """(name, figure, explanation) of each card."""
    verdict, row = facts.verdict, facts.verdict.row or facts.leading
    yield "Is attention worth it?", *_worth_it(verdict)
    if row is not None and not row.is_plain:
        yield f"Gain over the baseline, {facts.ranking.metric.word} points", *_gain(verdict, row)
        yield "Cost", *_cost(facts, row)
    yield "Verified on test data?", *_verified(verdict)
    yield "This study would show", *_visible(verdict)


def _worth_it(verdict: StudyVerdict) -> tuple[str, str]:
    if verdict.gains_too_little:
        return (
            "A little",
            f"less than the {size(verdict.worth)} points assumed to be the smallest gain that matters",
        )
    return _ANSWERS[verdict.answer], str(verdict.reason or "")


def _gain(verdict: StudyVerdict, row: RankedPlacement) -> tuple[str, str]:
    found = None if verdict.verification is None else verdict.verification.to_baseline
    if found is not None:
        known = bounds(found.interval)
        return f"{points(found.delta)} ({known})", f"by {found.n_seeds} fresh seeds on the test data"
    seeds = counted(row.n_seeds, "seed")
    if row.tested:
        return delta(row), f"measured, {seeds}"
    return "-" if row.gain is None else points(row.gain), f"expected, {seeds}: not tested yet"


def _cost(facts: StudyFacts, row: RankedPlacement) -> tuple[str, str]:
    """The latency if it was timed with the baseline's, otherwise the study's cost; MACs in addition."""
    ranking = facts.ranking
    latency = ranking.latency_of(row)
    name = ranking.cost if latency is None else "latency"
    if (ratio := cost_ratio(row, ranking, name)) is None or ranking.plain is None:
        return "-", COST_WORDS[name]
    value, base = (cost_of(one, name) or 0.0 for one in (row, ranking.plain))
    beside = {other: cost_ratio(row, ranking, other) for other in (ranking.cost, "macs") if other != name}
    others = [f"{percent_more(found)} {COST_WORDS[other]}" for other, found in beside.items() if found is not None]
    amounts = f"{amount(value)} for {amount(base)}{UNITS[name]}"
    return f"{percent_more(ratio)} {COST_WORDS[name]}", "; ".join([amounts, *others])


def _verified(verdict: StudyVerdict) -> tuple[str, str]:
    if verdict.verification is None:
        return "not yet", "what the search measured is not a final figure"
    return _VERIFIED[verdict.verification.verdict], ""


def _visible(verdict: StudyVerdict) -> tuple[str, str]:
    """The smallest gain that its runs usually show."""
    shown = None if verdict.verification is None else verdict.verification.gain_shown
    if shown is None and verdict.sight is not None:
        shown = rounded_up(verdict.sight.gain)
    if shown is None:
        known = verdict.ranking.noise.pair is not None
        return "-", "it has no finals" if known else "the noise from seed to seed is not known yet"
    return f"a gain of {size(shown)}", f"{verdict.ranking.metric.word} points or more, in four of five studies"


def holding_lines(facts: StudyFacts) -> tuple[str, ...]:
    """Sentences about the verification of the leading placement, then of the others.

    Empty if the baseline leads and nothing was verified, because then nothing is claimed.
    """
    first = facts.leading
    if first is None or (first.rank > 1 and not facts.verifications):
        return ()
    held = facts.study, first, facts.ranking, facts.verifications
    return (*confirmation_sentences(*held), *module_sentences(*held), *_others(facts, first))


def holding_line(facts: StudyFacts) -> str:
    """The first of these sentences, which is shown next to the verdict; empty if there is none."""
    return next(iter(holding_lines(facts)), "")


def _others(facts: StudyFacts, first: RankedPlacement) -> Iterator[str]:
    shown = verification_of(first, facts.ranking, facts.verifications)
    for other in facts.verifications:
        if other is not shown:
            yield f"Verified besides: {verdict_sentence(other)}"
