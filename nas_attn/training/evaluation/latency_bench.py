"""The latency of several placements of a network, timed together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from torch import nn

from nas_attn.latencies import LatencyTable
from nas_attn.models.described_network import Network
from nas_attn.models.placement import Placement
from nas_attn.training.metrics import device_name, interleaved_times, latencies_of, pinned
from nas_attn.training.precision import Precision
from nas_attn.training.start import fresh_network


@dataclass(frozen=True)
class LatencyBench:
    """Times placements in turns, the baseline among them, as they compute in use.

    Args:
        network: without its attention.
        height: H of the images, in pixels.
        width: W of the images, in pixels.
        batch: N of the batch, beside one image; of clips, how many of them.
        device: such as ``cpu`` or ``cuda:0``.
        precision: number format and memory layout.
        seconds: for each of the two at most, as in ``interleaved_times``.
    """

    network: Network
    height: int
    width: int
    batch: int
    device: str = "cpu"
    precision: Precision = field(default_factory=Precision)
    seconds: float = 8.0

    def __call__(self, placements: Sequence[Placement]) -> LatencyTable:
        """The latencies of placements and of the baseline.

        Raises:
            RuntimeError: memory has run out; and other errors of torch.
        """
        with pinned(torch.device(self.device)):
            return self._timed({placement.id: placement for placement in (self.network.plain, *placements)})

    def shape(self, images: int = 1) -> tuple[int, ...]:
        """Of what the network takes in: (N, C, H, W), where N counts the frames of so many images or clips."""
        return (images * self.network.frames, self.network.in_channels, self.height, self.width)

    def step_of(self, module: nn.Module, shapes: Sequence[tuple[int, ...]]) -> Callable[[], object]:
        """A forward pass of any module, as it computes in use.

        Args:
            module: that is timed.
            shapes: of its inputs.
        """
        device, generator = torch.device(self.device), torch.Generator().manual_seed(0)
        inputs = [self.precision.arrange(torch.randn(shape, generator=generator).to(device)) for shape in shapes]
        placed = self.precision.place(module, device).eval()

        def step() -> object:
            with self.precision.autocast(device):
                return placed(*inputs)

        return step

    def _timed(self, placements: dict[str, Placement]) -> LatencyTable:
        device, plain = torch.device(self.device), self.network.plain.id
        modules = {name: fresh_network(self.network, placement, seed=0) for name, placement in placements.items()}
        single, batched = (
            interleaved_times(
                {name: self.step_of(module, [self.shape(images)]) for name, module in modules.items()},
                plain,
                device,
                seconds=self.seconds,
            )
            for images in (1, self.batch)
        )
        return LatencyTable(
            device=device_name(device),
            height=self.height,
            width=self.width,
            batch=self.batch,
            rounds=len(single[plain]),
            single=latencies_of(single, plain),
            batched=latencies_of(batched, plain),
            input_name=self.network.input_name,
        )
