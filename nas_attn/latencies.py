"""Latencies of placements: measured together with the baseline, or predicted from what each attention adds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from nas_attn.models.placement import AttentionSpec, Location, Placement


@dataclass(frozen=True)
class Latency:
    """Latency of a forward pass of a placement, timed in turns with that of the baseline.

    Args:
        ms: the baseline's median time, times ``ratio``; in milliseconds.
        ratio: to the baseline's time in the same round: geometric mean over the rounds, without the lowest and the
            highest tenth.
        low: lower quartile of these ratios.
        high: upper quartile of these ratios.
    """

    ms: float
    ratio: float
    low: float
    high: float


@dataclass(frozen=True)
class LatencyTable:
    """Placements that were timed together, for one input and for a batch.

    Args:
        device: on which they were timed, as in ``Cost``.
        height: H of an image in pixels.
        width: W of an image in pixels.
        batch: N of the batch, in images, or in clips if the network takes clips.
        rounds: number of turns of each placement.
        single: latency of one image by the id of each placement.
        batched: latency of a batch likewise.
        input_name: the network's name for the input of one forward pass.
    """

    device: str
    height: int
    width: int
    batch: int
    rounds: int
    single: Mapping[str, Latency]
    batched: Mapping[str, Latency]
    input_name: str = "image"

    def of(self, placement: Placement) -> Latency | None:
        """The latency of one image; None if the placement was not timed."""
        return self.single.get(placement.id)

    def batch_of(self, placement: Placement) -> Latency | None:
        """The latency of a batch; None if the placement was not timed."""
        return self.batched.get(placement.id)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> LatencyTable:
        """The inverse of ``to_dict``."""
        found = {name: _read(values[name]) for name in ("single", "batched")}
        return cls(**{**values, **found})


def _read(values: Mapping[str, Mapping[str, float]]) -> dict[str, Latency]:
    return {placement: Latency(**latency) for placement, latency in values.items()}


@dataclass(frozen=True, eq=False)
class LatencyModel:
    """Predicts the latency of a placement before it is trained: the baseline's, plus what each attention adds.

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
