"""What memory a training step of any placement takes, known without training it."""

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
"""Of each parameter at most, in float32: its value, its gradient and two moments; what Muon trains has one."""


@dataclass(frozen=True)
class _Own:
    """What an attention adds to a step.

    Args:
        kept: bytes that its forward pass leaves behind for its backward pass.
        peak: the most bytes that it holds at once in either pass, those among them.
    """

    kept: int
    peak: int


class MemoryTable:
    """Bytes that a training step holds at most, for the placements of a network, in float32.

    The plain U-Net's step is taken once on the meta device, where nothing is computed, and each attention's once
    by itself. A step of the whole then holds at most what the plain one does and what all attentions keep, or, at
    one of them, what is held there, what those before it keep, and what it holds itself. That is some percent more
    than the exact figure. What it is for is the order of placements, which is that of the exact figures.

    Args:
        network: without its attention.
        budget: for the size of the batches.
        costs: exact costs of the network's placements.
    """

    def __init__(self, network: Network, budget: Budget, costs: CostTable) -> None:
        self._network, self._budget, self._costs = network, budget, costs
        sites = network.sites(budget.image_size, budget.image_size)
        self._sites = {site.location: site for site in sites}
        self._own: dict[tuple[Location, AttentionSpec], _Own] = {}

    def __call__(self, placement: Placement) -> int:
        """Bytes of the step's tensors, and of what is held for each parameter."""
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
        """Bytes of the plain step, and what was seen at all locations, in the order of the forward pass."""
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
    """Passes a feature on and looks what is alive then, and again when its gradient comes back.

    Args:
        name: of its location.
        live: asked.
        visited: the probes that a feature has come to, in that order.
    """

    def __init__(self, name: str, live: LiveBytes, visited: list[_Probe]) -> None:
        super().__init__()
        self.name = name
        self._forwards = self._backwards = 0
        self._live, self._visited = live, visited

    @property
    def held(self) -> int:
        """The most bytes that were alive when it was reached, forwards or backwards."""
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
    """Forward and backward pass of one attention on the meta device, for a batch of images or clips."""
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
    """As in a training, where they are there before the step."""
    module.train()
    for parameter in module.parameters():
        parameter.grad = torch.zeros_like(parameter)
