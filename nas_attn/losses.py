"""The losses by name, and what a training does about classes that are rare, in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

CE_DICE = "ce+dice"
LOSSES: Mapping[str, str] = {
    CE_DICE: "cross-entropy plus soft Dice",
    "dice": "soft Dice",
    "ce": "cross-entropy",
    "focal": "focal loss, gamma 2",
    "tversky": "Tversky loss, alpha 0.3, beta 0.7",
}
"""What ``--loss`` takes, and what each is; ``training.loss`` has the formulas."""


UNASKED: Mapping[str, object] = {"loss": CE_DICE, "class_weights": [], "foreground": 0.0}
"""What a training minimises and on which crops where nobody asked for anything, as plain values."""


def loss_text(loss: str, class_weights: Sequence[float], foreground: float) -> str:
    """How a training judges and draws its crops, in a line.

    >>> loss_text("focal", (0.5, 1.5), 0.33)
    'focal (focal loss, gamma 2), class weights 0.5, 1.5; 33% of the crops centred on foreground'
    """
    weights = f", class weights {', '.join(f'{weight:g}' for weight in class_weights)}" if class_weights else ""
    centred = f"; {100 * foreground:.3g}% of the crops centred on foreground" if foreground else ""
    return f"{loss} ({LOSSES.get(loss, 'of another version')}){weights}{centred}"


def weight_problem(class_weights: Sequence[float], classes: Sequence[str]) -> str | None:
    """Why class weights do not fit the classes; None where they do, or where there are none."""
    if not class_weights or len(class_weights) == len(classes):
        return None
    n_weights, n_classes = len(class_weights), len(classes)
    return (
        f"{n_weights} weight{'s' if n_weights > 1 else ''} for {n_classes} classes ({', '.join(classes)}); give "
        "one number for each, in this order"
    )
