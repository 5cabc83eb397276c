"""How often a run of the search's recipe ends with a class that the network predicts nowhere.

Each attention stands everywhere it may. Each run is a complete trial of the built-in task, at the recipe's peak
learning rate and at a quarter of it, which runs take that start from trained weights. A class is lost where its
IoU is below 10.

    python benchmarks/collapses.py
    python benchmarks/collapses.py --attention plain,cbam --shares 0.25 --seeds 8 --json
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace

import torch

from nas_attn.budget import Budget
from nas_attn.errors import NasAttnError, SpaceError, did_you_mean
from nas_attn.models.catalogue import catalogue
from nas_attn.models.network import UNetConfig
from nas_attn.models.placement import NONE, AttentionSpec, Placement
from nas_attn.study.setup.preset import CPU_BUILT_IN
from nas_attn.training import Recipe
from nas_attn.training.evaluation import DataSource, TrainingEvaluator

LOST = 0.1
"""IoU below which a class counts as lost."""
PLAIN = "plain"


@dataclass(frozen=True)
class Collapses:
    """One row of the table.

    Args:
        attention: everywhere it may stand.
        share: of the recipe's peak learning rate.
        steps: of each run.
        ious: mean IoU, one for each seed.
        lowest: IoU of the worst class, one for each seed.
    """

    attention: str
    share: float
    steps: int
    ious: tuple[float, ...]
    lowest: tuple[float, ...]

    @property
    def rate(self) -> float:
        """Share of the runs that lost a class."""
        return sum(iou < LOST for iou in self.lowest) / len(self.lowest)

    @property
    def rate_error(self) -> float:
        """Standard error of the rate, with one run of each sort added (Laplace), so that it is never 0."""
        n = len(self.lowest)
        share = (self.rate * n + 1) / (n + 2)
        return math.sqrt(share * (1 - share) / (n + 2))


def main(arguments: Sequence[str] | None = None) -> int:
    """Train and print."""
    asked = _parser().parse_args(arguments)
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    try:
        rows = list(_rows(asked))
    except NasAttnError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    if asked.json:
        found = [{**asdict(row), "rate": row.rate, "rate_error": row.rate_error} for row in rows]
        print(json.dumps(found, indent=2))
        return 0
    print(f"{'attention':12}{'peak rate':>10}{'runs':>6}{'class lost':>14}{'IoU x100':>10}{'worst class':>13}")
    for row in rows:
        lost = f"{100 * row.rate:.0f} ±{100 * row.rate_error:.0f} %"
        iou, lowest = (100 * statistics.fmean(values) for values in (row.ious, row.lowest))
        print(f"{row.attention:12}{row.share:>9g}x{len(row.ious):>6}{lost:>14}{iou:>10.1f}{lowest:>13.1f}")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--attention", default="plain,se,cbam,scse", metavar="KINDS", help="which (%(default)s)")
    parser.add_argument("--shares", default="1,0.25", help="of the recipe's peak learning rate (%(default)s)")
    parser.add_argument(
        "--image-size",
        type=int,
        default=CPU_BUILT_IN.image_size,
        help="side of the images in pixels (%(default)s)",
    )
    parser.add_argument("--seeds", type=int, default=4, help="runs of each (%(default)s)")
    parser.add_argument("--steps", type=int, default=CPU_BUILT_IN.steps, help="of a run (%(default)s)")
    parser.add_argument("--json", action="store_true", help="print JSON")
    return parser


def _rows(asked: argparse.Namespace) -> Iterator[Collapses]:
    preset = CPU_BUILT_IN
    source = DataSource(image_size=asked.image_size, n_train=preset.n_train, n_val=preset.n_val)
    network = UNetConfig(in_channels=3, classes=3, depth=4, base_channels=preset.base_channels)
    budget = Budget(asked.steps, preset.image_size, preset.batch_size)
    placements = {name: _everywhere(name, network) for name in asked.attention.split(",")}
    for share in map(float, asked.shares.split(",")):
        recipe = replace(Recipe(), peak_learning_rate=share * Recipe().peak_learning_rate)
        evaluator = TrainingEvaluator(network, source, recipe=recipe)
        for name, placement in placements.items():
            scores = [evaluator.score(evaluator.trained(placement, budget, seed)) for seed in range(asked.seeds)]
            lowest = tuple(min(iou for iou in score.iou_per_class if iou is not None) for score in scores)
            yield Collapses(name, share, asked.steps, tuple(score.iou for score in scores), lowest)


def _everywhere(name: str, network: UNetConfig) -> Placement:
    kinds = catalogue()
    if name == PLAIN:
        return network.plain
    if name not in kinds:
        raise SpaceError(f"--attention: unknown attention '{name}'; {did_you_mean(name, kinds)}")
    stages = kinds[name].stages
    return Placement.of({at: AttentionSpec(name) if at.stage in stages else NONE for at in network.locations})


if __name__ == "__main__":
    sys.exit(main())
