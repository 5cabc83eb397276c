"""Memory of a training step of any placement, without training it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor, nn

from nas_attn.budget import Budget
from nas_attn.models.attention._attend import as_computed
from nas_attn.models.build import with_modules
from nas_attn.models.described_network import Network
from nas_attn.models.placement import AttentionSpec, Location, Placement, Site
from nas_attn.training import ModuleHooks
from nas_attn.training.evaluation.cost_table import CostTable, standalone
from nas_attn.training.metrics import LiveBytes

_STATE_BYTES = 16
"""Bytes for each parameter, at most, in float32: value, gradient and two moments (Muon has one moment)."""


@dataclass(frozen=True)
class _Own:
    """Memory that an attention adds to a step.

    Args:
        kept: bytes that its forward pass keeps for its backward pass.
        peak: the most bytes that it holds at once in either pass, including ``kept``.
    """

    kept: int
    peak: int


class MemoryTable:
    """Upper bound of the bytes that a training step holds, for the placements of a network, in float32.

    The baseline's step and each attention's own step are run once, on the meta device, where nothing is computed.
    The bound is the larger of two figures. The first is the baseline's peak plus the memory that all attentions
    keep. The second is the highest sum at one attention: the memory held there in the baseline, the memory kept by
    the attentions before it, and its own peak. The bound is some percent above the exact figure. It is for
    ordering placements, and their order is that of the exact figures.

    Args:
        network: without its attention.
        budget: gives the batch size and the size of the crops.
        costs: exact costs of the network's placements.
    """

    def __init__(self, network: Network, budget: Budget, costs: CostTable) -> None:
        self._network, self._budget, self._costs = network, budget, costs
        sites = network.sites(budget.image_size, budget.image_size)
        self._sites = {site.location: site for site in sites}
        self._own: dict[tuple[Location, AttentionSpec], _Own] = {}

    def __call__(self, placement: Placement) -> int:
        """Bytes of the step's tensors, and of each parameter's value, gradient and moments."""
        own = {str(location): self._own_of(location, spec) for location, spec in placement.attended}
        return _STATE_BYTES * self._costs(placement).parameters + self._step_bytes(own)

    def _step_bytes(self, own: dict[str, _Own]) -> int:
        plain, visited = self._plain
        most, kept = plain + sum(one.kept for one in own.values()), 0
        for probe in visited:
            if probe.name in own:
                most = max(most, probe.held + kept + own[probe.name].peak)
                kept += own[probe.name].kept
        return most

    def _own_of(self, location: Location, spec: AttentionSpec) -> _Own:
        if (location, spec) not in self._own:
            self._own[location, spec] = _measured(
                spec, self._sites[location], self._budget.batch_size, self._network.classes
            )
        return self._own[location, spec]

    @cached_property
    def _plain(self) -> tuple[int, list[_Probe]]:
        """Bytes of the baseline's step, and the probes of all locations in the order of the forward pass."""
        network, budget, live = self._network, self._budget, LiveBytes()
        visited: list[_Probe] = []
        images = budget.batch_size * network.frames
        size = (images, network.in_channels, budget.image_size, budget.image_size)
        probes = {location: _Probe(str(location), live, visited) for location in network.locations}
        module = with_modules(network, probes).to("meta")
        with torch.device("meta"):
            inputs, masks = torch.zeros(size), torch.zeros(size[0], *size[2:], dtype=torch.uint8)
        _allocate_gradients(module)
        hooks = ModuleHooks(module, steps=1, seed=0)
        with live:
            hooks.loss(module(inputs), masks).backward()  # type: ignore[no-untyped-call]
        return live.peak, visited


class _Probe(nn.Module):
    """Passes a feature on, and records the bytes alive in the forward pass and when its gradient comes back.

    Args:
        name: of its location.
        live: the counter of living bytes.
        visited: the probes that a feature has reached so far, in that order.
    """

    def __init__(self, name: str, live: LiveBytes, visited: list[_Probe]) -> None:
        super().__init__()
        self.name = name
        self._forwards = self._backwards = 0
        self._live, self._visited = live, visited

    @property
    def held(self) -> int:
        """The most bytes that were alive when the probe was reached, forwards or backwards."""
        return max(self._forwards, self._backwards)

    def forward(self, x: Tensor) -> Tensor:
        self._visited.append(self)
        self._forwards = self._live.now
        passed = x.view_as(x)
        passed.register_hook(self._come_back)  # type: ignore[no-untyped-call]
        return passed

    def _come_back(self, gradient: Tensor) -> None:
        self._backwards = self._live.now


def _measured(spec: AttentionSpec, site: Site, batch: int, classes: int) -> _Own:
    with torch.device("meta"):
        module, shapes = standalone(spec, site, classes)
        given = [torch.zeros(batch * frames, *size, requires_grad=True) for frames, *size in shapes]
    _allocate_gradients(module)
    live = LiveBytes()
    with as_computed(), live:
        attended = module(*given)
        kept, forwards = live.now, live.peak
        gradient = torch.empty_like(attended)
        entered, live.peak = gradient.untyped_storage().nbytes(), 0
        attended.backward(gradient)
    return _Own(kept, max(forwards, live.peak - entered))


def _allocate_gradients(module: nn.Module) -> None:
    """Allocate all gradients; in a training they exist before the step."""
    module.train()
    for parameter in module.parameters():
        parameter.grad = torch.zeros_like(parameter)
