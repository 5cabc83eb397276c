"""The plain U-Net's curve in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.text import Text

if TYPE_CHECKING:
    from nas_attn.study.convergence import Convergence


def convergence_text(curve: Convergence) -> Text:
    """IoU at growing budgets, and whether the search's budget is long enough."""
    if not curve.points:
        return Text("The plain U-Net's curve is not known.")
    points = ", ".join(f"{100 * iou:.1f} after {steps} steps" for steps, iou in curve.points)
    line = f"Plain U-Net, IoU x100: {points}"
    if curve.gain is None:
        return Text(f"{line}.")
    line += f"; twice the search's {curve.steps} steps bring {100 * curve.gain:+.1f}"
    if curve.converged:
        return Text(f"{line}: it has converged.")
    if curve.converged is None:
        return Text(f"{line}: as much as the seed alone may bring, so whether it has converged is not known.")
    steps = 2 * curve.steps
    return Text(
        f"{line}: it has NOT converged, so this ranking says who learns fast, not who ends best. "
        f"Search again with --steps {steps} or more.",
        style="yellow",
    )
