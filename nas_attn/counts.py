"""Pixels by group of images and class, in few letters: what intervals over images rest on."""

from __future__ import annotations

import base64
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Pixels = NDArray[np.int64]

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
    """

    groups: int
    classes: int
    packed: str

    @classmethod
    def of(cls, intersections: Pixels, unions: Pixels) -> ImageCounts:
        """Pack counts.

        Args:
            intersections: pixels labelled and predicted as a class, (G, K).
            unions: pixels labelled or predicted as a class, (G, K).
        """
        import numpy as np

        counts = np.stack([intersections, unions - intersections]).astype("<i8")
        # All lowest bytes, then all second ones: most of the higher bytes are 0, and hardly take room.
        planes = counts.reshape(-1, 1).view(np.uint8).T.tobytes()
        groups, classes = intersections.shape
        return cls(groups, classes, base64.b64encode(zlib.compress(planes, 9)).decode())

    def unpack(self) -> tuple[Pixels, Pixels]:
        """Intersections and unions, each (G, K)."""
        import numpy as np

        planes = np.frombuffer(zlib.decompress(base64.b64decode(self.packed)), dtype=np.uint8)
        counts = np.ascontiguousarray(planes.reshape(8, -1).T).view("<i8").reshape(2, self.groups, self.classes)
        return counts[0], counts[0] + counts[1]
