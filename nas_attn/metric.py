"""Metrics of segmentation: mean IoU, foreground IoU or mean Dice, pooled or per image."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Pixels = NDArray[np.int64]
    Values = NDArray[np.float64]

MEAN_IOU = "mean-iou"


@dataclass(frozen=True)
class Metric:
    """A metric of segmentation, from 0 to 1. Classes that do not occur in the masks are left out.

    Args:
        name: the value of ``--metric``.
        dice: Dice of each class instead of its IoU.
        foreground: without the class of index 0.
        per_image: the mean of the values of single images, instead of one value for all pixels.
        multi_label: for classes that may overlap; none of them is background.
    """

    name: str
    dice: bool = False
    foreground: bool = False
    per_image: bool = False
    multi_label: bool = False

    def of(self, multi_label: bool) -> Metric:
        """The same metric for a kind of masks. If classes may overlap, all of them are foreground."""
        if not multi_label:
            return self
        name = self.name.replace("foreground", "mean")
        return replace(METRICS[name], multi_label=True)

    @property
    def word(self) -> str:
        """Name of its values in tables, charts and sentences: ``IoU``, ``foreground IoU``."""
        per_image = "per-image " if self.per_image else ""
        return f"{per_image}{'foreground ' if self.foreground else ''}{self._ratio}"

    @property
    def heading(self) -> str:
        """The same at the beginning of a line."""
        return capitalised(self.word)

    @property
    def _ratio(self) -> str:
        return "Dice" if self.dice else "IoU"

    @property
    def of_class(self) -> str:
        """Name of its value for a class: ``IoU of a class``."""
        return f"{self._ratio} of a class"

    @property
    def title(self) -> str:
        """The metric in words: ``mean Dice per image``."""
        return (
            f"{'foreground' if self.foreground else 'mean'} {self._ratio}{' per image' if self.per_image else ''}"
        )

    @property
    def definition(self) -> str:
        """What is counted, pooled and left out, in a sentence."""
        over = "pixels labelled or predicted as it"
        of_a_class = (
            f"Dice of a class: twice the pixels labelled and predicted as the class, over {over}, both counted"
            if self.dice
            else f"IoU of a class: pixels labelled and predicted as the class, over {over}"
        )
        pooled = "image by image, then averaged" if self.per_image else "all images pooled"
        held = "that image's mask" if self.per_image else "the masks"
        background = "without background" if self.foreground else "background included"
        if self.multi_label:
            background = "each evaluated by itself, because they may overlap"
        return (
            f"{of_a_class}, {pooled}; the mean is over the classes that occur in {held}, {background}; "
            "ignored pixels (255) are left out"
        )


def capitalised(word: str) -> str:
    """A word at the beginning of a line.

    >>> capitalised("foreground IoU")
    'Foreground IoU'
    """
    return word[:1].upper() + word[1:]


METRICS: Mapping[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric(MEAN_IOU),
        Metric("foreground-iou", foreground=True),
        Metric("mean-dice", dice=True),
        Metric("mean-iou-per-image", per_image=True),
        Metric("foreground-iou-per-image", foreground=True, per_image=True),
        Metric("mean-dice-per-image", dice=True, per_image=True),
    )
}


@dataclass(frozen=True, eq=False)
class Overlaps:
    """Overlaps of masks and predictions, image by image.

    Args:
        labelled: pixels of each class in the mask.
        predicted: pixels of each class in the prediction, without ignored ones.
        both: pixels that have the class in both.
        multi_label: whether classes may overlap, so that none is background.
    Shape: each (N, K).
    """

    labelled: Pixels
    predicted: Pixels
    both: Pixels
    multi_label: bool = field(default=False, kw_only=True)

    @property
    def occurring(self) -> NDArray[np.bool_]:
        """Which classes occur in the masks, (K,), whatever is predicted."""
        held: NDArray[np.bool_] = self.labelled.sum(0) > 0
        return held

    def pooled(self) -> Overlaps:
        """All images joined, (1, K)."""
        parts = (self.labelled, self.predicted, self.both)
        return Overlaps(*(part.sum(0, keepdims=True) for part in parts), multi_label=self.multi_label)


def image_values(metric: Metric, overlaps: Overlaps) -> Values:
    """The metric of each image alone, (N,); NaN if the mask has no class that the metric uses."""
    import numpy as np

    sums = overlaps.labelled + overlaps.predicted
    held = overlaps.labelled > 0
    if metric.foreground and not overlaps.multi_label:
        held = held & (np.arange(held.shape[1]) > 0)
    over = np.where(held, sums if metric.dice else sums - overlaps.both, 1)
    of_class = np.where(held, (2 if metric.dice else 1) * overlaps.both / over, 0.0)
    number = held.sum(1)
    values: Values = np.where(number > 0, of_class.sum(1) / np.maximum(number, 1), np.nan)
    return values


def metric_value(metric: Metric, overlaps: Overlaps) -> float | None:
    """The metric of a set of images; None if no mask has a class that the metric uses."""
    import numpy as np

    values = image_values(metric, overlaps if metric.per_image else overlaps.pooled())
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else None


def all_metrics(overlaps: Overlaps) -> dict[str, float | None]:
    """Every metric by its name."""
    return {name: metric_value(metric, overlaps) for name, metric in METRICS.items()}
