"""Names of losses and optimisers, and how a training treats rare classes, in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

CE_DICE = "ce+dice"
BCE_DICE = "bce+dice"
LOSSES: Mapping[str, str] = {
    CE_DICE: "cross-entropy plus soft Dice",
    "dice": "soft Dice",
    "ce": "cross-entropy",
    "focal": "focal loss, gamma 2",
    "tversky": "Tversky loss, alpha 0.3, beta 0.7",
    BCE_DICE: "binary cross-entropy plus soft Dice",
    "bce": "binary cross-entropy",
}
"""Values of ``--loss`` and their meaning; ``training.loss`` has the formulas."""

_OF_ONE_CLASS, _OF_OVERLAPS = (CE_DICE, "ce"), (BCE_DICE, "bce")
"""Losses for masks with one class per pixel, and for classes that may overlap; the others are for both."""

ASKED = ("loss", "class_weights", "foreground")
"""Settings of a training for rare classes."""
UNASKED: Mapping[str, object] = {"loss": CE_DICE, "class_weights": [], "foreground": 0.0, "multi_label": False}
"""Their defaults, as plain values."""

MUON = "muon"
ADAMW = "adamw"
"""The optimisers."""
UNSAID: Mapping[str, object] = {**UNASKED, "optimiser": ADAMW, "muon_factor": 1.0}
"""Settings of a recipe that are left out of its plain values."""


def usual_loss(multi_label: bool) -> str:
    """The default loss."""
    return BCE_DICE if multi_label else CE_DICE


def loss_problem(loss: str, multi_label: bool) -> str | None:
    """Why a loss cannot be used for a kind of masks; None if it can."""
    if multi_label and loss in _OF_ONE_CLASS:
        return (
            f"{loss} is for classes that exclude one another, and these may overlap (multi_label: "
            f"true); take {_OF_OVERLAPS[_OF_ONE_CLASS.index(loss)]}, which treats each class by itself"
        )
    if not multi_label and loss in _OF_OVERLAPS:
        return (
            f"{loss} is for classes that may overlap, and here a pixel has exactly one; take "
            f"{_OF_ONE_CLASS[_OF_OVERLAPS.index(loss)]}, whose cross-entropy is the binary one for two classes"
        )
    return None


def loss_text(loss: str, class_weights: Sequence[float], foreground: float, multi_label: bool = False) -> str:
    """The loss and the crops of a training, in a line.

    >>> loss_text("focal", (0.5, 1.5), 0.33)
    'focal (focal loss, gamma 2), class weights 0.5, 1.5; 33% of the crops centred on foreground'
    """
    weights = f", class weights {', '.join(f'{weight:g}' for weight in class_weights)}" if class_weights else ""
    centred = f"; {100 * foreground:.3g}% of the crops centred on foreground" if foreground else ""
    kind = f"{LOSSES.get(loss, 'of another version')}{', of each class by itself' if multi_label else ''}"
    return f"{loss} ({kind}){weights}{centred}"


def weight_problem(class_weights: Sequence[float], classes: Sequence[str]) -> str | None:
    """Why class weights do not fit the classes; None if they do, or if there are none."""
    if not class_weights or len(class_weights) == len(classes):
        return None
    n_weights, n_classes = len(class_weights), len(classes)
    return (
        f"{n_weights} weight{'s' if n_weights > 1 else ''} for {n_classes} classes ({', '.join(classes)}); give "
        "one number for each, in this order"
    )
