"""What a training step costs with each attention kind wherever it may stand, against the plain U-Net's.

A kind takes turns with the plain U-Net, a block of steps each; the ratio is the median over the pairs of blocks.
MACs are those of the whole network over the plain one's: where the two ratios differ, MACs say too little. With
``--start`` a kind takes turns with itself from another start, and the ratio is that of the default to it.

    python benchmarks/kinds.py
    python benchmarks/kinds.py --only pam,dcn --blocks 15
    python benchmarks/kinds.py --start paper --only se,eca,cbam,scse,ca,gate --blocks 40
    python benchmarks/kinds.py --device cuda --base-channels 16 --image-size 128 --batch-size 16
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

import torch

from nas_attn.budget import Budget
from nas_attn.data import smears, synthetic_clips
from nas_attn.errors import NasAttnError, SpaceError, did_you_mean
from nas_attn.models.build import build_unet
from nas_attn.models.catalogue import catalogue
from nas_attn.models.network import UNetConfig
from nas_attn.models.placement import NONE, AttentionSpec, Placement
from nas_attn.training import Precision, Recipe, initialise
from nas_attn.training.evaluation import CostTable, PackedSets, pack_sets
from nas_attn.training.graph import capture, eager
from nas_attn.training.metrics import device_name
from nas_attn.training.step import TrainingStep

FRAMES = 4
"""Of the clips for kinds that need them; a batch has as many images as with the others, the plain U-Net's too."""


@dataclass(frozen=True)
class KindTime:
    """What was measured for a kind.

    Args:
        kind: at every location where it may stand.
        step_ms: median of a training step.
        ratio: to the plain U-Net's, or that of another start, median of the pairs of blocks.
        error: standard error of this median, from the quartiles of the pairs.
        macs_ratio: MACs of one image, likewise.
        engine: how the steps were taken.
    """

    kind: str
    step_ms: float
    ratio: float
    error: float
    macs_ratio: float
    engine: str


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print."""
    asked = _parser().parse_args(arguments)
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    try:
        times = sorted(_measure(asked), key=lambda one: -one.ratio)
    except NasAttnError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    if asked.json:
        print(json.dumps([asdict(one) for one in times], indent=2))
    else:
        print(f"{device_name(torch.device(asked.device))}, {torch.__version__}, {_sizes(asked)}")
        print(f"{'kind':10}{'ms/step':>10}{'x ' + (asked.start or 'plain'):>10}{'±':>8}{'MACs':>8}  engine")
        for one in times:
            ratios = f"{one.ratio:>10.3f}{one.error:>8.3f}{one.macs_ratio:>8.2f}"
            print(f"{one.kind:10}{one.step_ms:>10.2f}{ratios}  {one.engine}")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", metavar="KIND,KIND", help="these kinds; all where left out")
    parser.add_argument(
        "--start", choices=("paper", "identity"), help="compare with this start, not the plain U-Net"
    )
    parser.add_argument("--device", default="cpu", help="cpu, cuda or cuda:1 (cpu)")
    parser.add_argument("--depth", type=int, default=4, help="halvings of the network (4)")
    parser.add_argument("--base-channels", type=int, default=8, help="C at full resolution (8)")
    parser.add_argument("--image-size", type=int, default=32, help="side of the crops in pixels (32)")
    parser.add_argument("--batch-size", type=int, default=8, help="N (8)")
    parser.add_argument("--blocks", type=int, default=5, help="pairs of blocks (5)")
    parser.add_argument("--block", type=int, default=5, help="steps of a block (5)")
    parser.add_argument("--json", action="store_true", help="print JSON")
    return parser


def _measure(asked: argparse.Namespace) -> list[KindTime]:
    kinds = catalogue()
    names = asked.only.split(",") if asked.only else [name for name in kinds if name != "none"]
    for name in names:
        if name not in kinds:
            raise SpaceError(f"--only {name}: unknown attention '{name}'; {did_you_mean(name, kinds)}")
    times = []
    for name in names:
        network, sets = _setting(FRAMES if kinds[name].needs_clip else 1, asked)
        costs = CostTable(network, asked.image_size, asked.image_size)
        placement = _everywhere(AttentionSpec(name), network)
        other = network.plain
        if asked.start:
            other = _everywhere(kinds[name].spec({"start": asked.start}), network)
        plain, _ = _step(asked, network, other, sets)
        step, engine = _step(asked, network, placement, sets)
        pairs = [
            (_block_ms(step, asked.block, asked), _block_ms(plain, asked.block, asked))
            for _ in range(asked.blocks + 1)
        ][1:]  # the first one warms up
        times.append(
            KindTime(
                kind=name,
                step_ms=statistics.median(mine for mine, _ in pairs),
                ratio=statistics.median(mine / theirs for mine, theirs in pairs),
                error=_error([mine / theirs for mine, theirs in pairs]),
                macs_ratio=costs(placement).macs / costs(other).macs,
                engine=engine,
            )
        )
    return times


def _everywhere(spec: AttentionSpec, network: UNetConfig) -> Placement:
    stages = catalogue()[spec.kind].stages
    return Placement.of({place: spec if place.stage in stages else NONE for place in network.locations})


def _error(ratios: list[float]) -> float:
    """Standard error of a median of normal values, whose spread the quartiles tell."""
    low, _, high = statistics.quantiles(ratios, n=4)
    return 1.2533 * (high - low) / 1.349 / math.sqrt(len(ratios))


def _setting(frames: int, asked: argparse.Namespace) -> tuple[UNetConfig, PackedSets]:
    """The network and its images: still ones, or clips of so many frames."""
    size = asked.image_size
    if frames == 1:
        data = smears(image_size=size, n_train=64, n_val=1, n_test=1)
    else:
        data = synthetic_clips(image_size=size, n_train=16, n_val=1, n_test=1)
    network = UNetConfig(data.in_channels, len(data.classes), asked.depth, asked.base_channels, frames=frames)
    return network, pack_sets(data, _on(asked), frames)


def _step(
    asked: argparse.Namespace, network: UNetConfig, placement: Placement, sets: PackedSets
) -> tuple[Callable[[], None], str]:
    """A function that takes the next step, and how it does so."""
    device, steps = _on(asked), (asked.blocks + 2) * asked.block
    precision = Precision(channels_last=True)
    budget = Budget(steps, asked.image_size, max(1, asked.batch_size // network.frames))
    module = build_unet(network, placement)
    initialise(module, 0)
    step = TrainingStep(
        precision.place(module, device).train(),
        sets.train,
        budget,
        seed=0,
        recipe=Recipe(),
        precision=precision,
        capturable=device.type == "cuda",
    )
    step.prepare(0)
    engine = capture(step, device) if device.type == "cuda" else eager(step)
    return engine.step, engine.name


def _block_ms(step: Callable[[], None], steps: int, asked: argparse.Namespace) -> float:
    """Milliseconds of a step, the mean of a block."""
    started = time.perf_counter()
    for _ in range(steps):
        step()
    if _on(asked).type == "cuda":
        torch.cuda.synchronize(_on(asked))
    return (time.perf_counter() - started) / steps * 1000


def _on(asked: argparse.Namespace) -> torch.device:
    return torch.device(asked.device)


def _sizes(asked: argparse.Namespace) -> str:
    return (
        f"depth {asked.depth}, {asked.base_channels} base channels, "
        f"batches of {asked.batch_size} crops of {asked.image_size} px"
    )


if __name__ == "__main__":
    sys.exit(main())
