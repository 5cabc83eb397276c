"""Whether a search's budget is long enough, in a sentence."""

from __future__ import annotations

from nas_attn.analysis.convergence import Convergence


def convergence_sentence(curve: Convergence) -> str:
    """The metric at growing budgets, and whether the search's budget is long enough.

    Args:
        curve: of the baseline.
    """
    if not curve.points:
        return "The baseline's curve is not known."
    known = ", ".join(f"{100 * iou:.1f} after {steps} steps" for steps, iou in curve.points)
    line = f"Baseline, {curve.word} x100: {known}"
    if curve.gain is None:
        return f"{line}."
    line += f"; twice the search's {curve.steps} steps bring {100 * curve.gain:+.1f}"
    if curve.converged:
        return f"{line}: it has converged."
    if curve.converged is None:
        return f"{line}: as much as the seed alone may bring, so whether it has converged is not known."
    return (
        f"{line}: it has NOT converged, so this ranking says who learns fast, not who ends best. "
        f"Search again with --steps {2 * curve.steps} or more."
    )
