"""Sentences about a budget: whether it is long enough, whether shorter ones predict it, and what it can detect."""

from __future__ import annotations

from nas_attn.analysis.convergence import Convergence
from nas_attn.analysis.detection import Sight, rounded_up
from nas_attn.analysis.doubling import LONG_ENOUGH, TOO_SHORT, Doubling
from nas_attn.analysis.fidelity import RungFidelity
from nas_attn.wording.numbers import bounds, counted, duration, points, size


def convergence_sentence(curve: Convergence) -> str:
    """The baseline's metric at growing budgets, and whether the search's budget is long enough."""
    if not curve.points:
        return "The baseline's curve is not known."
    known = ", ".join(f"{100 * iou:.1f} after {steps} steps" for steps, iou in curve.points)
    line = f"Baseline, {curve.word} x100: {known}"
    if curve.gain is None:
        return f"{line}."
    line += f"; twice the search's {curve.steps} steps change it by {100 * curve.gain:+.1f}"
    if curve.doubling is not None and not curve.is_unfinished:
        return f"{line}. {doubling_sentence(curve)}"
    if curve.converged is None:
        return f"{line}; how they change the differences between placements is not known."
    return f"{line}: not converged, so {_unfinished(curve)}"


def doubling_sentence(curve: Convergence) -> str:
    """How much doubling the budget changes the gains of reference architectures, and what follows."""
    doubling, converged = curve.doubling, curve.converged
    if doubling is None:
        return ""
    said = f"Doubling the {curve.steps} steps {changed(doubling, curve)}"
    if converged:
        return f"{said}: long enough to resolve differences of {size(curve.worth)}."
    if converged is None:
        return f"{said}: whether that is long enough to resolve differences of {size(curve.worth)} is not known."
    return f"{said}: too short to resolve differences of {size(curve.worth)}, so {_unfinished(curve)}"


def changed(doubling: Doubling, curve: Convergence) -> str:
    """``changes what se everywhere gains by +0.1 IoU points (80 % interval -0.3 to 0.5)``."""
    names = " and ".join(change.name for change in doubling.changes)
    verb = "gains" if len(doubling.changes) == 1 else "gain on average"
    confidence = TOO_SHORT if curve.converged is False else LONG_ENOUGH
    interval, seeds = doubling.interval(confidence), counted(doubling.n_seeds, "seed")
    sure = "" if interval is None else f"{100 * confidence:.0f} % "
    known = f"{sure}interval {bounds(interval)}, {seeds}"
    each = ""
    if len(doubling.changes) > 1 and doubling.largest > curve.worth:
        each = f", individually by {', '.join(points(change.value) for change in doubling.changes)}"
    return f"changes what {names} {verb} by {points(doubling.value)} {curve.word} points ({known}){each}"


def fidelity_sentences(fidelity: RungFidelity) -> tuple[str, ...]:
    """The correlation, and a warning if short runs are not shown to predict long ones."""
    return tuple(filter(None, (correlation_sentence(fidelity), _caution(fidelity))))


def correlation_sentence(fidelity: RungFidelity) -> str:
    """The correlation with its interval, and the correlation of perfect short runs."""
    interval, attainable = fidelity.interval, fidelity.attainable
    known = "" if interval is None else f" ({interval.low:+.2f} to {interval.high:+.2f})"
    most = (
        ""
        if attainable is None
        else f" A perfect prediction would show {attainable:+.2f}, because the longer runs are noisy, too."
    )
    rungs = f"From {fidelity.lower.brief} to {fidelity.upper.brief}"
    return (
        f"{rungs}: rank correlation {fidelity.correlation:+.2f}{known} "
        f"over {fidelity.n_placements} placements run at both.{most}"
    )


def sight_sentence(
    sight: Sight, word: str, *, worth: float | None = None, each: float | None = None, workers: int = 1
) -> str:
    """The gain that a number of trials can detect, and the number that a smaller gain would take.

    Args:
        sight: of the search.
        word: name of the scores.
        worth: smallest gain that matters, in units of the score; the default is half of what the search can
            detect.
        each: seconds of a trial; None leaves out the time.
        workers: number of parallel trials.
    """
    shown = rounded_up(sight.gain)
    said = f"{sight.n_trials} trials of this length can detect a gain of {size(shown)} {word} points"
    smaller = rounded_up(shown / 2) if worth is None else worth
    needed = sight.trials_for(smaller)
    if smaller >= shown or needed is None or needed <= sight.n_trials:
        return f"{said} in four of five searches."
    by = " of one worker" if workers == 1 else ""
    time = "" if each is None else f", {duration(needed * each / workers)}{by}"
    return f"{said} in four of five searches; {size(smaller)} would take about {needed} trials{time}."


def _unfinished(curve: Convergence) -> str:
    return (
        "this ranking shows which placement learns fastest, not which ends best. "
        f"Search again with --steps {2 * curve.steps} or more."
    )


def _caution(fidelity: RungFidelity) -> str:
    if fidelity.predicts:
        return ""
    short, long = fidelity.lower.brief, fidelity.upper.steps
    if fidelity.predicts is None:
        return (
            f"{fidelity.n_placements} placements run at both are too few to tell whether {short} predict {long}: "
            "a placement dropped after its short run may have been good."
        )
    return (
        f"Runs of {short} did not predict runs of {long}: a placement dropped after its short run may have been "
        "good; a longer first rung may say more."
    )
