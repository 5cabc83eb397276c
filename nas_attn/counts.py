"""Pixels by group of images and class, in few letters: what intervals over images rest on."""

from __future__ import annotations

import base64
import zlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from nas_attn.metric import MEAN_IOU, METRICS, Overlaps, image_values

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Pixels = NDArray[np.int64]
    Sums = NDArray[np.float32]

MOST_GROUPS = 128
"""More images are counted in groups of neighbours: resampling 128 of these tells as much as resampling all."""
MOST_NUMBERS = 8192
_LEAST_GROUPS = 16


def n_groups(images: int, classes: int) -> int:
    """Into how many groups a set of images is counted.

    Args:
        images: of the set.
        classes: K.
    """
    return min(images, MOST_GROUPS, max(_LEAST_GROUPS, MOST_NUMBERS // (2 * classes)))


@dataclass(frozen=True)
class ImageCounts:
    """Intersections and unions of every class in every group of images, packed as text.

    Neighbouring images share a group, so that slices of one volume or frames of one film stay together.

    Args:
        groups: G.
        classes: K.
        packed: both as base64 of a zlib stream.
        per_image: likewise of each metric per image its sums over groups, and how many images have a value; empty
            where these were not kept.
        metric: by which the run is judged, one of ``METRICS``.
        multi_label: whether classes may overlap, so that none is background.
    """

    groups: int
    classes: int
    packed: str
    per_image: str = ""
    metric: str = MEAN_IOU
    multi_label: bool = False

    @classmethod
    def of_overlaps(cls, overlaps: Overlaps, group_of: Pixels, metric: str = MEAN_IOU) -> ImageCounts:
        """Count images in their groups; a class that no mask holds counts for nothing.

        Args:
            overlaps: of N images.
            group_of: the group of each image, ascending from 0 without a gap, (N,).
            metric: by which the run is judged.
        """
        import numpy as np

        starts = np.flatnonzero(np.diff(group_of, prepend=-1))
        both = np.add.reduceat(overlaps.both, starts)
        unions = np.add.reduceat(overlaps.labelled + overlaps.predicted, starts) - both
        sums = []
        for one in _PER_IMAGE:
            values = image_values(one, overlaps)
            known = ~np.isnan(values)
            sums += [np.add.reduceat(np.where(known, values, 0.0), starts), np.add.reduceat(known * 1.0, starts)]
        packed = cls.of(both, unions * overlaps.occurring)
        per_image = _zipped(np.stack(sums).astype("<f4"))
        return replace(packed, per_image=per_image, metric=metric, multi_label=overlaps.multi_label)

    @classmethod
    def of(cls, intersections: Pixels, unions: Pixels) -> ImageCounts:
        """Pack counts.

        Args:
            intersections: pixels labelled and predicted as a class, (G, K).
            unions: pixels labelled or predicted as a class, (G, K).
        """
        import numpy as np

        counts = np.stack([intersections, unions - intersections]).astype("<i8")
        groups, classes = intersections.shape
        return cls(groups, classes, _zipped(counts))

    def unpack(self) -> tuple[Pixels, Pixels]:
        """Intersections and unions, each (G, K)."""
        counts = _unzipped(self.packed, "<i8").reshape(2, self.groups, self.classes)
        return counts[0], counts[0] + counts[1]

    def unpack_per_image(self, metric: str) -> tuple[Sums, Sums]:
        """Of a metric per image its sum over each group, and the number of images that have a value, each (G,).

        Args:
            metric: name of one that is taken per image; ``per_image`` was kept.
        """
        sums = _unzipped(self.per_image, "<f4").reshape(len(_PER_IMAGE), 2, self.groups)
        found = sums[[one.name for one in _PER_IMAGE].index(metric)]
        return found[0], found[1]


_PER_IMAGE = tuple(metric for metric in METRICS.values() if metric.per_image)


def _zipped(values: NDArray[Any]) -> str:
    """All lowest bytes, then all second ones: most of the higher bytes are alike, and hardly take room."""
    import numpy as np

    planes = values.reshape(-1, 1).view(np.uint8).T.tobytes()
    return base64.b64encode(zlib.compress(planes, 9)).decode()


def _unzipped(packed: str, kind: str) -> NDArray[Any]:
    """The inverse of ``_zipped``, (values, 1), of a kind of numbers such as ``<i8``."""
    import numpy as np

    planes = np.frombuffer(zlib.decompress(base64.b64decode(packed)), dtype=np.uint8)
    return np.ascontiguousarray(planes.reshape(np.dtype(kind).itemsize, -1).T).view(kind)
