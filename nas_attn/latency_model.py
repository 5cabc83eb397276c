"""How long any placement takes, by what each attention adds at its place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nas_attn.models.placement import AttentionSpec, Location, Placement


@dataclass(frozen=True, eq=False)
class LatencyModel:
    """The latency of any placement before it is trained: the baseline's, and what each attention adds.

    Args:
        device: on which it was measured, as in ``Cost``.
        height: H of the image in pixels.
        width: W of the image in pixels.
        plain_ms: of the baseline.
        added_ms: by each attention at each location.
    """

    device: str
    height: int
    width: int
    plain_ms: float
    added_ms: Mapping[tuple[Location, AttentionSpec], float]

    def __call__(self, placement: Placement) -> float:
        """Milliseconds of one image.

        Raises:
            KeyError: an attention was not measured at its location.
        """
        return self.plain_ms + sum(self.added_ms[place] for place in placement.attended)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        added = [[str(location), str(spec), ms] for (location, spec), ms in self.added_ms.items()]
        return {**vars(self), "added_ms": added}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> LatencyModel:
        """The inverse of ``to_dict``."""
        added = {
            (Location.parse(location), AttentionSpec.parse(spec)): float(ms)
            for location, spec, ms in values["added_ms"]
        }
        return cls(**{**values, "added_ms": added})
