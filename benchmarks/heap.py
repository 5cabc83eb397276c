"""How much sooner is a training step done where the process keeps the memory that it frees?

The plain U-Net of a space is trained in fresh processes, half of which keep it, in turns: none can go back.

    python benchmarks/heap.py
    python benchmarks/heap.py --base-channels 32 --image-size 128
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from statistics import median

import torch
from torch import nn

from nas_attn.models.catalogue import catalogue
from nas_attn.space import read_space
from nas_attn.training.heap import keep_freed_memory
from nas_attn.training.start import fresh_network

_SIZES = ((8, 48), (16, 64), (32, 64), (32, 128))
"""Base channels and pixels."""
_WARM_UPS = 3


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base-channels", type=int)
    parser.add_argument("--image-size", type=int, help="in pixels; both or none: %(default)s")
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--steps", type=int, default=20, help="of each process (%(default)s)")
    parser.add_argument("--pairs", type=int, default=5, help="of processes (%(default)s)")
    parser.add_argument("--heap", choices=("usual", "kept"), help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if (asked.base_channels is None) != (asked.image_size is None):
        parser.error("--base-channels and --image-size: give both, or none")
    if asked.heap:
        print(json.dumps(_step(asked)))
        return
    os.environ.update(OMP_NUM_THREADS="1")
    sizes = _SIZES if asked.base_channels is None else ((asked.base_channels, asked.image_size),)
    print("| base channels | px | ms of a step | with memory kept | ratio | page faults | kept |")
    print("| ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    for channels, pixels in sizes:
        pairs = [[_child(asked, channels, pixels, heap) for heap in ("usual", "kept")] for _ in range(asked.pairs)]
        print(f"| {channels} | {pixels} | {_row(pairs)} |", flush=True)


def _step(asked: argparse.Namespace) -> tuple[float, float]:
    """Milliseconds of this thread and page faults of a step."""
    if asked.heap == "kept":
        keep_freed_memory()
    torch.set_num_threads(1)
    space = read_space(
        "unet_attention", catalogue(), base_channels=asked.base_channels, image_size=asked.image_size
    )
    network = fresh_network(space.network, space.plain, seed=0).to(memory_format=torch.channels_last)
    optimiser = torch.optim.AdamW(network.parameters())
    shape = (asked.batch_size, space.network.in_channels, asked.image_size, asked.image_size)
    images = torch.randn(shape).to(memory_format=torch.channels_last)
    masks = torch.randint(space.network.classes, (asked.batch_size, *shape[2:]))
    times = []
    for number in range(_WARM_UPS + asked.steps):
        if number == _WARM_UPS:
            faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        start = time.thread_time()
        optimiser.zero_grad()
        nn.functional.cross_entropy(network(images), masks).backward()
        optimiser.step()
        times.append(1000 * (time.thread_time() - start))
    faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - faults
    return median(times[_WARM_UPS:]), faults / asked.steps


def _child(asked: argparse.Namespace, channels: int, pixels: int, heap: str) -> tuple[float, float]:
    command = [sys.executable, __file__, "--heap", heap, "--batch-size", str(asked.batch_size)]
    command += ["--steps", str(asked.steps), "--base-channels", str(channels), "--image-size", str(pixels)]
    ms, faults = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    return ms, faults


def _row(pairs: Sequence[Sequence[tuple[float, float]]]) -> str:
    ratios = sorted(kept[0] / usual[0] for usual, kept in pairs)
    usual, kept = ([median(pair[side][what] for pair in pairs) for what in (0, 1)] for side in (0, 1))
    return " | ".join(
        [
            f"{usual[0]:.1f}",
            f"{kept[0]:.1f}",
            f"{median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})",
            f"{usual[1]:.0f}",
            f"{kept[1]:.0f}",
        ]
    )


if __name__ == "__main__":
    main()
