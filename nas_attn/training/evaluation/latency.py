"""The latency of placements: measured together, or added up from the latency of each attention at each place."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import nn

from nas_attn.latencies import LatencyModel, LatencyTable
from nas_attn.models.described_network import Network
from nas_attn.models.placement import NONE, AttentionSpec, Location, Placement, Site
from nas_attn.training.evaluation.cost_table import alike, replaced_convolution, standalone
from nas_attn.training.metrics import device_name, interleaved_times, latencies_of, pinned
from nas_attn.training.precision import Precision
from nas_attn.training.start import fresh_network

_PLAIN = "plain"
_LEAST = 0.02
"""Share of the baseline's time; smaller times are lost in the noise, and their ratios mean nothing."""
Choices = Iterable[tuple[Location, Sequence[AttentionSpec]]]
Added = Mapping[tuple[Location, AttentionSpec], float]
"""Milliseconds of each attention at each location."""


@dataclass(frozen=True)
class LatencyBench:
    """Measures placements and the baseline in interleaved turns, as they compute in use.

    Args:
        network: without its attention.
        height: H of the images, in pixels.
        width: W of the images, in pixels.
        batch: number of images, or clips, of a batch; one batch and one image are timed.
        device: such as ``cpu`` or ``cuda:0``.
        precision: number format and memory layout.
        seconds: limit for the single image and for the batch each, as in ``interleaved_times``.
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
            RuntimeError: memory has run out; also other errors of torch.
        """
        with pinned(torch.device(self.device)):
            return self._timed({placement.id: placement for placement in (self.network.plain, *placements)})

    def shape(self, images: int = 1) -> tuple[int, ...]:
        """Shape of the network's input: (N, C, H, W), where N counts the frames of ``images`` images or clips."""
        return (images * self.network.frames, self.network.in_channels, self.height, self.width)

    def step_of(self, module: nn.Module, shapes: Sequence[tuple[int, ...]]) -> Callable[[], object]:
        """A forward pass of any module, as it computes in use.

        Args:
            module: the module to time.
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


def measure_latency_model(bench: LatencyBench, choices: Choices) -> LatencyModel:
    """A latency model for all placements of some choices: the baseline's latency plus that of each attention.

    All of these are timed in turns with the baseline:

    - each attention's module by itself, for how its latency is split over the places;
    - each network that has one attention wherever it may stand, for the sum of that attention's latency;
    - some networks with a mixture of attentions, for the factor by which all these sums are too small.

    A module by itself finds its input and its code in the cache. Within a network it does not, least of all if its
    neighbours are of other kinds. An attention that replaces a convolution adds the difference between the two.

    Args:
        bench: gives the network, sizes, device and number format.
        choices: the attentions that may stand at each location.
    Raises:
        RuntimeError: memory has run out; also other errors of torch.
    """
    with pinned(torch.device(bench.device)):
        return _Modules(bench, choices).measured()


class _Modules:
    """The modules to time, one for all sites of equal sizes, and the networks that they add up to."""

    def __init__(self, bench: LatencyBench, choices: Choices) -> None:
        self._bench, network = bench, bench.network
        self._sites = {site.location: site for site in network.sites(bench.height, bench.width)}
        self._keys = [(location, spec) for location, specs in choices for spec in specs if spec != NONE]
        self._steps: dict[str, Callable[[], object]] = {_PLAIN: self._network_step(network.plain)}
        for location, spec in self._keys:
            self._add(spec, alike(self._sites[location], spec))
        for placement in (*self._everywhere.values(), *self._mixtures):
            self._steps[placement.id] = self._network_step(placement)

    def measured(self) -> LatencyModel:
        bench, device = self._bench, torch.device(self._bench.device)
        times = interleaved_times(self._steps, _PLAIN, device, seconds=bench.seconds)
        ms = {name: latency.ms for name, latency in latencies_of(times, _PLAIN).items()}
        alone = {key: self._by_itself(*key, ms) for key in self._keys}
        shares = {spec: _times_as_long([one], alone, ms) for spec, one in self._everywhere.items()}
        within = {(location, spec): shares[spec] * own for (location, spec), own in alone.items()}
        mixed = _times_as_long(self._mixtures, within, ms)
        added = {key: mixed * own for key, own in within.items()}
        return LatencyModel(device_name(device), bench.height, bench.width, ms[_PLAIN], added)

    @property
    def _everywhere(self) -> dict[AttentionSpec, Placement]:
        """For each attention, the placement with it wherever it may stand."""
        plain = self._bench.network.plain
        found: dict[AttentionSpec, Placement] = {}
        for location, spec in self._keys:
            found[spec] = found.get(spec, plain).replace(location, spec)
        return found

    def _by_itself(self, location: Location, spec: AttentionSpec, ms: Mapping[str, float]) -> float:
        site = alike(self._sites[location], spec)
        return ms[_name(spec, site)] - ms.get(_replaced_name(spec, site), 0.0)

    @property
    def _mixtures(self) -> list[Placement]:
        """Placements with attention wherever it may stand, each kind about as often, no kind at two neighbours."""
        offered: dict[Location, list[AttentionSpec]] = {}
        for location, spec in self._keys:
            offered.setdefault(location, []).append(spec)
        most, plain = max(map(len, offered.values()), default=0), self._bench.network.plain
        return [_turned(plain, offered, turn) for turn in range(most)]

    def _network_step(self, placement: Placement) -> Callable[[], object]:
        bench = self._bench
        return bench.step_of(fresh_network(bench.network, placement, seed=0), [bench.shape()])

    def _add(self, spec: AttentionSpec, site: Site) -> None:
        if (name := _name(spec, site)) in self._steps:
            return
        module, shapes = standalone(spec, site, self._bench.network.classes)
        self._steps[name] = self._bench.step_of(module, shapes)
        if (convolution := replaced_convolution(spec, site)) is not None:
            feature = (site.frames, site.channels, site.height, site.width)
            self._steps[_replaced_name(spec, site)] = self._bench.step_of(convolution, [feature])


def _turned(plain: Placement, offered: Mapping[Location, Sequence[AttentionSpec]], turn: int) -> Placement:
    """Mixture number ``turn``: from one location to the next, the choice advances by one."""
    placement = plain
    for number, (location, specs) in enumerate(offered.items()):
        placement = placement.replace(location, specs[(number + turn) % len(specs)])
    return placement


def _times_as_long(placements: Sequence[Placement], added: Added, ms: Mapping[str, float]) -> float:
    """Measured extra latency of placements, divided by the sum over their attentions; 1 if one is too small."""
    foretold = sum(added[place] for placement in placements for place in placement.attended)
    taken = sum(ms[placement.id] - ms[_PLAIN] for placement in placements)
    return taken / foretold if min(taken, foretold) > _LEAST * ms[_PLAIN] else 1.0


def _name(spec: AttentionSpec, site: Site) -> str:
    return f"{spec} {site}"


def _replaced_name(spec: AttentionSpec, site: Site) -> str:
    """Name of the convolution that an attention replaces; no step has this name if it replaces nothing."""
    return f"replaced by {_name(spec, site)}"
