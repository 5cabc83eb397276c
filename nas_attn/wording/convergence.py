"""Whether a search's budget is long enough, in a sentence or two."""

from __future__ import annotations

from nas_attn.analysis.convergence import Convergence
from nas_attn.analysis.doubling import LONG_ENOUGH, TOO_SHORT, Doubling
from nas_attn.wording.numbers import bounds, counted, points, size


def convergence_sentence(curve: Convergence) -> str:
    """The baseline's metric at growing budgets, and whether the search's budget is long enough."""
    if not curve.points:
        return "The baseline's curve is not known."
    known = ", ".join(f"{100 * iou:.1f} after {steps} steps" for steps, iou in curve.points)
    line = f"Baseline, {curve.word} x100: {known}"
    if curve.gain is None:
        return f"{line}."
    line += f"; twice the search's {curve.steps} steps bring {100 * curve.gain:+.1f}"
    if curve.doubling is not None and not curve.is_unfinished:
        return f"{line}. {doubling_sentence(curve)}"
    if curve.converged is None:
        return f"{line}; what they change in the differences between placements is not known."
    return f"{line}: it has NOT converged, so {_unfinished(curve)}"


def doubling_sentence(curve: Convergence) -> str:
    """What doubling the budget changes in what reference architectures gain, and what follows."""
    doubling, converged = curve.doubling, curve.converged
    if doubling is None:
        return ""
    said = f"Doubling the {curve.steps} steps {changed(doubling, curve)}"
    if converged:
        return f"{said}: long enough to tell {size(curve.worth)} apart."
    if converged is None:
        return f"{said}: whether that is long enough to tell {size(curve.worth)} apart is not known."
    return f"{said}: too short to tell {size(curve.worth)} apart, so {_unfinished(curve)}"


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
        each = f", each by {', '.join(points(change.value) for change in doubling.changes)}"
    return f"changes what {names} {verb} by {points(doubling.value)} {curve.word} points ({known}){each}"


def _unfinished(curve: Convergence) -> str:
    return (
        "this ranking says who learns fast, not who ends best. "
        f"Search again with --steps {2 * curve.steps} or more."
    )
