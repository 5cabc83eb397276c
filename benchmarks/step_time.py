"""One training step of a search against a bare PyTorch loop, and what a run costs besides its steps.

The bare loop is the floor: the same network, loss and precision, batches already cut and normalised on the device,
AdamW, and nothing else: no crops, no augmentation, no clipping, no schedule. Both take turns in one process, a
block of steps each; the ratio is the median over the pairs of blocks.

    python benchmarks/step_time.py
    python benchmarks/step_time.py --attention scse --base-channels 16 --image-size 64
    python benchmarks/step_time.py --network smp:Unet/resnet34 --image-size 64
    python benchmarks/step_time.py --device cuda --bfloat16 --image-size 128 --batch-size 16 --steps 2000
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

import torch
from torch import Tensor, nn

from nas_attn.budget import Budget
from nas_attn.data import Dataset, smears
from nas_attn.errors import NasAttnError, SpaceError, did_you_mean
from nas_attn.models.asked_network import AskedNetwork
from nas_attn.models.catalogue import catalogue
from nas_attn.models.described_network import DescribedNetwork, Network
from nas_attn.models.discovery import build_fresh, look_at
from nas_attn.models.network import UNetConfig
from nas_attn.models.placement import NONE, AttentionSpec, Placement
from nas_attn.training import (
    Precision,
    Segmenter,
    fresh_network,
    recalibrate_batchnorm,
    recipe_for,
    score_images,
    segmentation_loss,
)
from nas_attn.training.evaluation import PackedSets, pack_sets
from nas_attn.training.graph import Engine, capture, eager
from nas_attn.training.metrics import device_name, measure_latency_ms
from nas_attn.training.step import TrainingStep

_BATCHES = 32


@dataclass(frozen=True)
class StepTimes:
    """What was measured; times in milliseconds.

    Args:
        device: and its name.
        engine: how the steps of a search are taken.
        search_ms: median of a search's step.
        bare_ms: median of a bare step.
        ratio: search over bare, median of the pairs of blocks.
        ratio_low: their lower quartile.
        ratio_high: their upper quartile.
        start_ms: building, initialising, planning and, on a GPU, recording a run.
        recalibrate_ms: BatchNorm statistics.
        score_ms: the validation set.
        latency_ms: measuring the latency.
    """

    device: str
    engine: str
    search_ms: float
    bare_ms: float
    ratio: float
    ratio_low: float
    ratio_high: float
    start_ms: float
    recalibrate_ms: float
    score_ms: float
    latency_ms: float


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print."""
    asked = _parser().parse_args(arguments)
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    try:
        times = _measure(asked)
    except NasAttnError as error:
        print(error, file=sys.stderr)
        return 2
    print(json.dumps(asdict(times), indent=1) if asked.json else _table(times, asked.steps))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--attention", default="none", help="a kind, wherever it may stand")
    parser.add_argument("--network", help="of another library, such as smp:Unet/resnet34 [the U-Net of nas-attn]")
    parser.add_argument("--base-channels", type=int, default=8)
    parser.add_argument("--depth", type=int, default=4)
    parser.add_argument("--image-size", type=int, default=32, help="side of the crops, in pixels")
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument(
        "--steps", type=int, default=150, help="of the run whose other costs are put into relation"
    )
    parser.add_argument("--blocks", type=int, default=15, help="pairs of blocks")
    parser.add_argument("--block", type=int, default=10, help="steps of a block")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--bfloat16", action="store_true")
    parser.add_argument("--json", action="store_true")
    return parser


def _measure(asked: argparse.Namespace) -> StepTimes:
    device, precision = torch.device(asked.device), Precision(asked.bfloat16, channels_last=True)
    data = smears(image_size=asked.image_size, n_train=256, n_val=96, n_test=1)
    sets = pack_sets(data, device)
    run = _Run(asked, data, sets, device, precision)
    run.start()  # the first one starts the libraries too
    started = time.perf_counter()
    run.start()
    start_ms = _since(started, device)
    segmenter = Segmenter(run.module, sets.val.mean, sets.val.std, precision=precision)
    bare = _bare_step(run.bare(), _cut(asked, sets, precision), precision)
    pairs = [
        (_block_ms(run.engine.step, asked.block, device), _block_ms(bare, asked.block, device))
        for _ in range(asked.blocks + 2)
    ][2:]  # the first warm up
    ratios = statistics.quantiles([ours / theirs for ours, theirs in pairs], n=4)
    return StepTimes(
        device=device_name(device),
        engine=run.engine.name,
        search_ms=statistics.median(ours for ours, _ in pairs),
        bare_ms=statistics.median(theirs for _, theirs in pairs),
        ratio=ratios[1],
        ratio_low=ratios[0],
        ratio_high=ratios[2],
        start_ms=start_ms,
        recalibrate_ms=_time_ms(run.recalibrate, device),
        score_ms=_time_ms(lambda: score_images(segmenter, sets.val, len(data.classes)), device),
        latency_ms=_time_ms(
            lambda: measure_latency_ms(
                run.module, (1, data.in_channels, asked.image_size, asked.image_size), device, warmups=2, repeats=9
            ),
            device,
        ),
    )


class _Run:
    """A search's run, piece by piece."""

    def __init__(
        self,
        asked: argparse.Namespace,
        data: Dataset,
        sets: PackedSets,
        device: torch.device,
        precision: Precision,
    ) -> None:
        self._asked, self._sets, self._device, self._precision = asked, sets, device, precision
        self._network: Network = UNetConfig(data.in_channels, len(data.classes), asked.depth, asked.base_channels)
        if asked.network is not None:
            named = AskedNetwork.parse(asked.network)
            self._network = look_at(named, data.in_channels, len(data.classes)).network
        self._placement = _everywhere(asked.attention, self._network)
        self.module: nn.Module
        self.engine: Engine

    def build(self) -> nn.Module:
        module = fresh_network(self._network, self._placement, 0)
        return self._precision.place(module, self._device).train()

    def bare(self) -> nn.Module:
        """As a hand-written loop would have it: a network of another library without anything of nas-attn."""
        network = self._network
        if not isinstance(network, DescribedNetwork):
            return self.build()
        module = build_fresh(network.asked, network.in_channels, network.classes, 0)
        return self._precision.place(module, self._device).train()

    def start(self) -> None:
        asked, images = self._asked, self._sets.train
        steps = max(asked.steps, (asked.blocks + 2) * asked.block)
        budget = Budget(steps, asked.image_size, asked.batch_size)
        self.module = self.build()
        on_gpu = self._device.type == "cuda"
        step = TrainingStep(
            self.module,
            images,
            budget,
            seed=0,
            recipe=recipe_for(self._network),
            precision=self._precision,
            capturable=on_gpu,
        )
        step.prepare(0)
        self.engine = capture(step, self._device) if on_gpu else eager(step)

    def recalibrate(self) -> None:
        batches = (inputs for inputs, _ in _cut(self._asked, self._sets, self._precision)[:16])
        with self._precision.autocast(self._device):
            recalibrate_batchnorm(self.module, batches, self.module)


def _everywhere(kind: str, network: Network) -> Placement:
    kinds = catalogue()
    if kind not in kinds:
        raise SpaceError(f"--attention {kind}: unknown attention '{kind}'; {did_you_mean(kind, kinds)}")
    spec = AttentionSpec(kind)
    return Placement.of(
        {place: spec if place.stage in kinds[kind].stages else NONE for place in network.locations}
    )


def _cut(asked: argparse.Namespace, sets: PackedSets, precision: Precision) -> list[tuple[Tensor, Tensor]]:
    """Batches as a hand-written loop would find them: floats, on the device."""
    images = sets.train
    size = asked.image_size
    found = []
    for _ in range(_BATCHES):
        pixels, masks = images.images_of(torch.randint(0, len(images), (asked.batch_size,)).tolist())
        found.append((precision.arrange(images.normalise(pixels[..., :size, :size])), masks[..., :size, :size]))
    return found


def _bare_step(
    module: nn.Module, batches: list[tuple[Tensor, Tensor]], precision: Precision
) -> Callable[[], None]:
    optimiser = torch.optim.AdamW(module.parameters(), lr=1e-3, fused=True)
    taken = 0

    def step() -> None:
        nonlocal taken
        inputs, masks = batches[taken % len(batches)]
        taken += 1
        optimiser.zero_grad(set_to_none=True)
        with precision.autocast(inputs.device):
            logits = module(inputs)
        segmentation_loss(logits, masks).backward()  # type: ignore[no-untyped-call]
        optimiser.step()

    return step


def _block_ms(step: Callable[[], object], count: int, device: torch.device) -> float:
    started = time.perf_counter()
    for _ in range(count):
        step()
    return _since(started, device) / count


def _time_ms(action: Callable[[], object], device: torch.device) -> float:
    action()
    started = time.perf_counter()
    action()
    return _since(started, device)


def _since(started: float, device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return (time.perf_counter() - started) * 1000


def _table(times: StepTimes, steps: int) -> str:
    rest = times.start_ms + times.recalibrate_ms + times.score_ms + times.latency_ms
    run = times.search_ms * steps
    return "\n".join(
        [
            f"device           {times.device}, {times.engine}",
            f"step of a search {times.search_ms:9.2f} ms",
            f"bare step        {times.bare_ms:9.2f} ms",
            f"ratio            {times.ratio:9.3f}    (quartiles {times.ratio_low:.3f} to {times.ratio_high:.3f})",
            f"start            {times.start_ms:9.1f} ms",
            f"recalibration    {times.recalibrate_ms:9.1f} ms",
            f"evaluation       {times.score_ms:9.1f} ms",
            f"latency          {times.latency_ms:9.1f} ms",
            f"besides the steps{rest / (rest + run):9.1%}    of a run of {steps} steps",
        ]
    )


if __name__ == "__main__":
    sys.exit(main())
