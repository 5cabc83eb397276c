"""How far two measurements of a latency differ, and how well a placement's is foretold before it is trained.

Placements of a space, dense and sparse ones, are timed together twice by ``LatencyBench``, as a search does at its
end; then each attention is timed at each place (``measure_latency_model``), as ``--cost latency`` does before the
first trial, and what that adds up to is compared with what was measured.

    python benchmarks/latency.py
    python benchmarks/latency.py --base-channels 32 --image-size 64
    python benchmarks/latency.py --device cuda --base-channels 32 --image-size 256
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import mean, median, quantiles

from nas_attn.latencies import Latency, LatencyTable
from nas_attn.models.catalogue import catalogue
from nas_attn.models.placement import NONE, Placement
from nas_attn.space import SearchSpace, read_space
from nas_attn.strategy.schedule.reference_architectures import reference_choices
from nas_attn.training import Precision
from nas_attn.training.evaluation import LatencyBench, measure_latency_model

_KEPT = 0.4
"""Share of the places at which a sparse placement keeps its attention."""


@dataclass(frozen=True)
class Spread:
    """Of absolute differences, as shares of 1."""

    median: float
    p90: float
    most: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Of differences of either sign."""
        sizes = sorted(map(abs, values))
        return cls(median(sizes), quantiles(sizes, n=10, method="inclusive")[-1], sizes[-1])

    def __str__(self) -> str:
        return f"{self.median:6.1%} {self.p90:6.1%} {self.most:6.1%}"


@dataclass(frozen=True)
class Report:
    """What was measured.

    Args:
        device: and how busy it was: programs that waited for a core in the last minute.
        load: likewise.
        rounds: turns of each placement.
        plain_ms: the baseline's.
        single: difference between the ratios of two measurements, one image.
        batched: the same of a batch.
        quartiles: width between the quartiles of a ratio over the rounds, on average.
        model: error of the latency that was foretold, over the mean of both measurements.
        bias: its mean.
    """

    device: str
    load: float
    rounds: int
    plain_ms: float
    single: Spread
    batched: Spread
    quartiles: float
    model: Spread
    bias: float


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print."""
    asked = _parser().parse_args(arguments)
    report = _measured(asked)
    print(json.dumps(asdict(report), indent=1) if asked.json else _table(report, asked.batch_size))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--space", default="unet_attention")
    parser.add_argument("--base-channels", type=int, default=8)
    parser.add_argument("--image-size", type=int, default=32)
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--placements", type=int, default=14, help="half of them sparse")
    parser.add_argument("--seconds", type=float, default=8.0, help="of a measurement at most")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--json", action="store_true")
    return parser


def _measured(asked: argparse.Namespace) -> Report:
    space = read_space(asked.space, catalogue(), base_channels=asked.base_channels, image_size=asked.image_size)
    bench = LatencyBench(
        space.network,
        asked.image_size,
        asked.image_size,
        asked.batch_size,
        asked.device,
        Precision(channels_last=True),
        asked.seconds,
    )
    placements = _placements(space, asked.placements)
    first, second = (bench(placements) for _ in range(2))
    model = measure_latency_model(bench, reference_choices(space).items())
    errors = [
        model(placement) / model.plain_ms / mean(_ratios(placement, first, second)) - 1 for placement in placements
    ]
    widths = [one.high - one.low for one in first.single.values() if one.ratio != 1]
    return Report(
        device=first.device,
        load=os.getloadavg()[0],
        rounds=first.rounds,
        plain_ms=first.single[space.plain.id].ms,
        single=_apart(first.single, second.single, space.plain),
        batched=_apart(first.batched, second.batched, space.plain),
        quartiles=mean(widths),
        model=Spread.of(errors),
        bias=mean(errors),
    )


def _placements(space: SearchSpace, number: int) -> list[Placement]:
    """Drawn from the space; every second one without most of its attention."""
    drawn, found = random.Random(0), dict[Placement, None]()
    while len(found) < number:
        placement = space.sample(drawn)
        if len(found) % 2:
            for location, _ in placement:
                if drawn.random() > _KEPT:
                    placement = placement.replace(location, NONE)
        if placement.attended:
            found[placement] = None
    return list(found)


def _ratios(placement: Placement, *tables: LatencyTable) -> list[float]:
    return [table.single[placement.id].ratio for table in tables]


def _apart(first: Mapping[str, Latency], second: Mapping[str, Latency], plain: Placement) -> Spread:
    return Spread.of([second[name].ratio / first[name].ratio - 1 for name in first if name != plain.id])


def _table(report: Report, batch: int) -> str:
    return "\n".join(
        [
            f"device            {report.device}; load {report.load:.1f}",
            f"baseline          {report.plain_ms:.2f} ms, {report.rounds} rounds",
            f"quartiles apart   {report.quartiles:.1%} of the baseline's time",
            "                  median    90 %   most",
            f"repeat, 1 image   {report.single}",
            f"repeat, batch {batch:<3} {report.batched}",
            f"foretold          {report.model}    (mean {report.bias:+.1%})",
        ]
    )


if __name__ == "__main__":
    sys.exit(main())
