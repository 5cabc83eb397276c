"""Pixel counts by group of images and class, compressed. Intervals over images are computed from them."""

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
"""With more images, neighbours share a group: resampling 128 groups is as good as resampling all images."""
MOST_NUMBERS = 8192
_LEAST_GROUPS = 16


def n_groups(images: int, classes: int) -> int:
    """Number of groups in which a set of images is counted.

    Args:
        images: number of images in the set.
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
        packed: intersections and unions, as base64 of a zlib stream.
        per_image: for each metric per image, its sums over groups and the numbers of images that have a value,
            packed likewise; empty if these were not kept.
        metric: metric of the run, one of ``METRICS``.
        multi_label: whether classes may overlap, so that none of them is background.
    """

    groups: int
    classes: int
    packed: str
    per_image: str = ""
    metric: str = MEAN_IOU
    multi_label: bool = False

    @classmethod
    def of_overlaps(cls, overlaps: Overlaps, group_of: Pixels, metric: str = MEAN_IOU) -> ImageCounts:
        """Count images in their groups. A class that occurs in no mask counts as 0.

        Args:
            overlaps: of N images.
            group_of: the group of each image, ascending from 0 without a gap, (N,).
            metric: metric of the run.
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
        """For a metric per image, its sum over each group and the number of images that have a value, each (G,).

        Args:
            metric: name of a metric per image; ``per_image`` was kept.
        """
        sums = _unzipped(self.per_image, "<f4").reshape(len(_PER_IMAGE), 2, self.groups)
        found = sums[[one.name for one in _PER_IMAGE].index(metric)]
        return found[0], found[1]


_PER_IMAGE = tuple(metric for metric in METRICS.values() if metric.per_image)


def _zipped(values: NDArray[Any]) -> str:
    """Compress all lowest bytes, then all second bytes and so on. Most higher bytes are equal and take hardly any
    space."""
    import numpy as np

    planes = values.reshape(-1, 1).view(np.uint8).T.tobytes()
    return base64.b64encode(zlib.compress(planes, 9)).decode()


def _unzipped(packed: str, kind: str) -> NDArray[Any]:
    """The inverse of ``_zipped``, (values, 1), of a kind of numbers such as ``<i8``."""
    import numpy as np

    planes = np.frombuffer(zlib.decompress(base64.b64decode(packed)), dtype=np.uint8)
    return np.ascontiguousarray(planes.reshape(np.dtype(kind).itemsize, -1).T).view(kind)
