"""Sentences about the verification of a placement with fresh seeds on the test data, or the command that runs
it."""

from __future__ import annotations

from collections.abc import Sequence

from nas_attn.analysis.paired import LEAST_SEEDS
from nas_attn.analysis.result import RankedPlacement, Ranking, Versus, claimed_row
from nas_attn.analysis.verification import CollapsedRuns, Comparison, Verdict, Verification, verification_of
from nas_attn.commands import command
from nas_attn.models.placement import Placement
from nas_attn.wording.numbers import bounds, counted, points, size
from nas_attn.wording.placements import in_words
from nas_attn.wording.rankings import COLLAPSED

MOST_PROPOSED = 100
"""Larger numbers of seeds are mentioned but not proposed."""
_WHERE = "on the test data, with fresh seeds"


def confirmation_sentences(
    study: str, row: RankedPlacement, ranking: Ranking, verifications: Sequence[Verification]
) -> tuple[str, ...]:
    """The figure to report for a placement, or the command that finds it; empty for the baseline."""
    if row.is_plain:
        return ()
    found, verify = verification_of(row, ranking, verifications), _command(study, row, ranking)
    if found is None:
        return (unverified_sentence(verify),)
    return (*verification_sentences(found, verify), *looks_sentences(len(verifications)))


def module_sentences(
    study: str, row: RankedPlacement, ranking: Ranking, verifications: Sequence[Verification]
) -> tuple[str, ...]:
    """What each module of a verified placement adds to it, or the command that measures it."""
    found = verification_of(row, ranking, verifications)
    if found is None or len(row.placement.attended) < 2:
        return ()
    if found.modules:
        return ablation_sentences(found)
    verify = f"{_command(study, row, ranking)} --ablate"
    return (f"What each module adds was not measured: '{verify}' runs the placement without each of them.",)


def verify_command(study: str, placement: Placement | None = None) -> str:
    """The command that verifies a placement of a study; None leaves out the placement, so that the default is
    verified."""
    return command("verify", study, pick=None if placement is None else f"id:{placement.id}")


def unverified_sentence(verify: str) -> str:
    """That a placement is not verified yet, and the command ``verify`` that verifies it."""
    return (
        f"Not verified yet: '{verify}' runs it, the baseline and the best reference architecture with fresh seeds "
        "and evaluates them on the test data. This gives the figure to report."
    )


def looks_sentences(n_looks: int) -> tuple[str, ...]:
    """What it means that several placements of a study were evaluated on the test data; empty for one."""
    if n_looks < 2:
        return ()
    return (
        f"{n_looks} placements of this study were evaluated on the test data by now: if one is selected for its "
        "result there, these data no longer verify it.",
    )


def verification_sentences(verification: Verification, verify: str) -> tuple[str, ...]:
    """The verdict and further findings about the whole winner, one sentence each.

    Args:
        verification: of a placement.
        verify: command that verifies this placement.
    """
    found = [
        verdict_sentence(verification),
        _proposal(verification, verify),
        _collapses(verification),
        _versus_reference(verification),
        _ious(verification),
        f"{counted(verification.n_failed, 'failed run')} left out." if verification.n_failed else "",
    ]
    return tuple(filter(None, found))


def verdict_sentence(verification: Verification) -> str:
    """The verdict with its figure and its caveats."""
    said = {
        Verdict.CONFIRMED: _confirmed,
        Verdict.NOT_SHOWN: _not_shown,
        Verdict.REFUTED: _refuted,
    }[verification.verdict](verification)
    return f"{said}{_caution(verification)}"


def ablation_sentences(verification: Verification) -> tuple[str, ...]:
    """What each module adds, one sentence each; empty if the winner was not run without them."""
    return tuple(
        f"{verification.winner[location]} at {location} adds {comparison_text(comparison)} to it."
        for location, comparison in verification.modules.items()
    )


def comparison_text(comparison: Comparison) -> str:
    """``+0.9 IoU points (0.4 to 1.4, 5 seeds)``, or ``(interval not known, 2 seeds)``."""
    known = f"{'interval ' if comparison.interval is None else ''}{bounds(comparison.interval)}"
    seeds = counted(comparison.n_seeds, "seed")
    return f"{points(comparison.delta)} {comparison.word} points ({known}, {seeds})"


def collapsed_text(collapsed: CollapsedRuns) -> str:
    """``1 of 5 runs``."""
    return f"{collapsed.number} of {counted(collapsed.of, 'run')}"


def _command(study: str, row: RankedPlacement, ranking: Ranking) -> str:
    return verify_command(study, None if row == claimed_row(ranking) else row.placement)


def _confirmed(verification: Verification) -> str:
    text = comparison_text(verification.to_baseline) if verification.to_baseline else ""
    said = f"Confirmed: {in_words(verification.winner)} is better than the baseline {_WHERE}: {text}."
    expected = verification.expected
    if expected is None:
        return said
    interval = verification.to_baseline.interval if verification.to_baseline else None
    if interval is not None and interval.high < expected:
        return f"{said} That is less than the {points(expected)} that the search expected."
    return f"{said} The search expected {points(expected)}."


def _not_shown(verification: Verification) -> str:
    name, to_baseline = in_words(verification.winner), verification.to_baseline
    if to_baseline is None:
        return f"Not shown: there is no seed with which both {name} and the baseline completed a run."
    if to_baseline.interval is None:
        return (
            f"Not shown: {name} compared with the baseline {_WHERE}: {comparison_text(to_baseline)}. The noise of "
            f"the seeds is not known; at least {LEAST_SEEDS} seeds are needed."
        )
    said = f"Not shown: {name} is not distinguishable from the baseline {_WHERE}: {comparison_text(to_baseline)}."
    if verification.gain_shown is None:
        return said
    return f"{said} {counted(to_baseline.n_seeds, 'seed')} could have shown about {size(verification.gain_shown)}."


def _refuted(verification: Verification) -> str:
    name, to_baseline = in_words(verification.winner), verification.to_baseline
    text = comparison_text(to_baseline) if to_baseline else ""
    if to_baseline is not None and to_baseline.versus is Versus.WORSE:
        return f"Refuted: {name} is worse than the baseline {_WHERE}: {text}."
    expected = f"{points(verification.expected or 0.0)} {_word(verification)} points"
    return (
        f"Refuted: {name} does not gain the {expected} over the plain U-Net that the search expected, {_WHERE}: "
        f"{text}. It is not known whether it gains less or nothing."
    )


def _proposal(verification: Verification, verify: str) -> str:
    """How many seeds could show the expected gain, if it was not shown."""
    expected, to_baseline = verification.expected, verification.to_baseline
    if to_baseline is not None and to_baseline.interval is None:
        return f"'{verify} --seeds {LEAST_SEEDS}' runs the missing seeds."
    shown = verification.verdict is not Verdict.NOT_SHOWN or verification.gain_shown is None
    if shown or expected is None or to_baseline is None:
        return ""
    needed, gain = verification.seeds_needed, f"the {points(expected)} that the search expected"
    if needed is None:
        return f"No number of seeds could show {gain}{_on(verification)}: the gain is too small to detect here."
    if needed > MOST_PROPOSED:
        return f"It would take about {needed:,} seeds to show {gain}: the gain is too small to detect here."
    if needed <= to_baseline.n_seeds:
        return (
            f"This many seeds show {gain} in four of five verifications if it is real; twice as many show "
            f"smaller gains: '{verify} --seeds {2 * to_baseline.n_seeds}'."
        )
    return f"{counted(needed, 'seed')} could show {gain}: '{verify} --seeds {needed}'."


def _on(verification: Verification) -> str:
    return "" if verification.n_images is None else f" on these {verification.n_images} test images"


def _caution(verification: Verification) -> str:
    """A warning that the winner collapses more often than the baseline, which the gain of the other runs does not
    show."""
    if not verification.collapses_more:
        return ""
    winner, plain = verification.collapsed["winner"], verification.collapsed.get("baseline")
    beside = f", the baseline in {collapsed_text(plain)}" if plain else ""
    delta = verification.delta_all
    counting = "" if delta is None else f"; with its collapsed runs the difference is {points(delta)}"
    return f" But it collapsed in {collapsed_text(winner)}{beside}{counting} ({COLLAPSED})."


def _collapses(verification: Verification) -> str:
    """Collapsed runs of the placements, without those in the warning."""
    names = {"winner": "it", "baseline": "the baseline", "reference": "the best reference architecture"}
    told = {"winner", "baseline"} if verification.collapses_more else set()
    found = [
        f"{names[name]} in {collapsed_text(collapsed)}"
        for name, collapsed in verification.collapsed.items()
        if collapsed.number and name not in told
    ]
    return f"Collapsed runs ({COLLAPSED}) are left out: {', '.join(found)}." if found else ""


def _versus_reference(verification: Verification) -> str:
    if verification.to_reference is None:
        return ""
    words = {
        Versus.BETTER: "It is better than the best reference architecture",
        Versus.WORSE: "It is worse than the best reference architecture",
        Versus.NOT_DISTINGUISHABLE: "It is not distinguishable from the best reference architecture",
        Versus.UNKNOWN: "Compared with the best reference architecture it has",
    }
    said = words[verification.to_reference.versus]
    return f"{said}, {verification.reference}: {comparison_text(verification.to_reference)}."


def _ious(verification: Verification) -> str:
    if verification.iou is None:
        return ""
    winner, plain = (f"{100 * iou:.1f}" for iou in verification.iou)
    return f"{_word(verification)} x100 on the test data: {winner}, baseline {plain}."


def _word(verification: Verification) -> str:
    """``IoU`` or ``Dice``."""
    return "IoU" if verification.to_baseline is None else verification.to_baseline.word
