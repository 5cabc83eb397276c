"""The parts of a network of others that a module can replace or wrap: a location's 3x3 convolution and its block.

The convolution is the last one of C to C channels that produces the location's feature at its resolution, from
nothing deeper or shallower. The block is the outermost submodule that returns the feature and takes one map of its
resolution. It has to contain a convolution, otherwise it would be a mere activation.
"""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from nas_attn.models.described_network import FoundSite
from nas_attn.models.discovery.tape import HEIGHT, WIDTH, Call, Tape
from nas_attn.models.insertion import HookPoint, Place, Way, insert_modules
from nas_attn.models.placement import Stage


def with_parts(tape: Tape, ghost: nn.Module, sites: Iterable[FoundSite]) -> tuple[FoundSite, ...]:
    """The sites with the convolution and the block of each, if it has one.

    Args:
        tape: of the network.
        ghost: the network on the meta device, in eval mode.
        sites: without these parts.
    """
    finder, in_channels = _PartFinder(tape, ghost), int(tape.image.shape[1])
    found: list[FoundSite] = []
    for site in sites:
        found.append(_without_taken(finder.with_parts(site), found))
    if _work(ghost, in_channels, [part for site in found for part in _parts(site)]):
        return tuple(found)
    return tuple(_working(ghost, in_channels, site) for site in found)  # one of them disturbs: each by itself


@dataclass(frozen=True)
class _Part:
    """A submodule by its name, with the channels of its input and output."""

    name: str
    entering: int
    leaving: int


class _PartFinder:
    """Finds the parts of one network.

    Args:
        tape: of a forward pass.
        ghost: the network.
    """

    def __init__(self, tape: Tape, ghost: nn.Module) -> None:
        self._tape = tape
        self._modules = dict(ghost.named_modules())
        self._times = Counter(call.name for call in tape.calls)
        owners = Counter(
            id(parameter) for module in ghost.modules() for parameter in module.parameters(recurse=False)
        )
        self._shared = {parameter for parameter, times in owners.items() if times > 1}

    def with_parts(self, site: FoundSite) -> FoundSite:
        """A site with its convolution and its block."""
        point = HookPoint.parse(site.at)
        if site.location.stage is Stage.SKIP or point.argument is not None:
            return site
        maker = next((call for call in self._tape.calls if call.name == point.module), None)
        if maker is None or self._tape.feature(maker.output) is None:
            return site
        convolution, block = self._convolution(maker, site.channels), self._block(maker)
        if convolution:
            site = replace(
                site, convolution=convolution, convolution_bias=self._modules[convolution].bias is not None
            )
        return replace(site, block=block[0], block_channels=block[1]) if block else site

    def _convolution(self, maker: Call, channels: int) -> str:
        """The last matching convolution among those that produced the feature; empty if none matches."""
        made_of = self._made_of(maker)
        fitting = [
            call
            for call in self._tape.calls
            if 0 <= call.end <= maker.end
            and id(call.output) in made_of
            and self._times[call.name] == 1
            and self._fits(self._modules[call.name], channels)
        ]
        return max(fitting, key=lambda call: call.end).name if fitting else ""

    def _block(self, maker: Call) -> tuple[str, int] | None:
        """The outermost matching submodule that returns the feature, and the channels of its input."""
        changed = self._tape.last_given(maker.output, before=maker.end)
        for call in sorted(self._tape.calls, key=lambda call: call.begin):
            gives = call.output is maker.output and changed < call.end <= maker.end
            if call.name and gives and self._times[call.name] == 1 and _is_block(self._modules[call.name]):
                entering = [self._tape.feature(tensor) for tensor in call.given.values()]
                if len(entering) == 1 and entering[0] is not None and self._is_beside(maker, call):
                    return call.name, entering[0].channels
        return None

    def _is_beside(self, maker: Call, call: Call) -> bool:
        """Whether the input of a call is like the feature: of its resolution, and made from nothing deeper or
        shallower."""
        return id(next(iter(call.given.values()))) in self._made_of(maker)

    def _made_of(self, maker: Call) -> set[int]:
        """Numbers of the features of the same resolution from which a submodule's feature was made, its own
        included."""
        feature, found = self._tape.feature(maker.output), {id(maker.output)}
        for operation in reversed(self._tape.operations):
            if operation.at < maker.end and id(operation.output) in found:
                found |= {
                    id(tensor)
                    for tensor in operation.inputs
                    if (one := self._tape.feature(tensor)) is not None
                    and feature is not None
                    and (one.stride, one.deepest) == (feature.stride, feature.deepest)
                }
        return found

    def _fits(self, module: nn.Module, channels: int) -> bool:
        own = dict(module.named_parameters(recurse=False))
        return (
            type(module) is nn.Conv2d
            and (module.in_channels, module.out_channels, module.groups) == (channels, channels, 1)
            and (module.kernel_size, module.stride, module.dilation) == ((3, 3), (1, 1), (1, 1))
            and module.padding in ((1, 1), "same")
            and module.padding_mode == "zeros"
            and set(own) <= {"weight", "bias"}  # else it is normalised in some way
            and not self._shared & {id(parameter) for parameter in own.values()}
            and "forward" not in vars(module)
        )


def _is_block(module: nn.Module) -> bool:
    """Whether a submodule contains others, among them a convolution that sees more than one position."""
    within = [one for one in module.modules() if one is not module and isinstance(one, nn.Conv2d)]
    return "forward" not in vars(module) and any(max(one.kernel_size) > 1 for one in within)


def _without_taken(site: FoundSite, before: Iterable[FoundSite]) -> FoundSite:
    """A site without the parts that belong to an earlier site."""
    if site.convolution in {one.convolution for one in before}:
        site = _without_convolution(site)
    return _without_block(site) if site.block in {one.block for one in before} else site


def _without_convolution(site: FoundSite) -> FoundSite:
    return replace(site, convolution="", convolution_bias=False)


def _without_block(site: FoundSite) -> FoundSite:
    return replace(site, block="", block_channels=0)


def _parts(site: FoundSite) -> list[_Part]:
    """The parts of a site."""
    convolution = _Part(site.convolution, site.channels, site.channels)
    return [part for part in (convolution, _Part(site.block, site.block_channels, site.channels)) if part.name]


def _working(ghost: nn.Module, in_channels: int, site: FoundSite) -> FoundSite:
    """A site without the parts that cannot be wrapped."""
    if not _work(ghost, in_channels, _parts(_without_block(site))):
        site = _without_convolution(site)
    if not _work(ghost, in_channels, _parts(_without_convolution(site))):
        site = _without_block(site)
    return site


def _work(ghost: nn.Module, in_channels: int, parts: Sequence[_Part]) -> bool:
    """Whether all of these parts can be wrapped, and each is called once with maps of the expected sizes."""
    network, probes = copy.deepcopy(ghost), [_PartProbe() for _ in parts]
    around = [Place(HookPoint(part.name, way=Way.AROUND)) for part in parts]
    insert_modules(network, {str(number): pair for number, pair in enumerate(zip(probes, around, strict=True))})
    with suppress(RuntimeError, TypeError, AttributeError), torch.no_grad():
        network(torch.zeros(1, in_channels, HEIGHT, WIDTH, device="meta"))
    return all(
        probe.seen == [(part.entering, part.leaving, True)] for probe, part in zip(probes, parts, strict=True)
    )


class _PartProbe(nn.Module):
    """Calls the part that it wraps, and stores the channels of its input and output, and whether H and W stay the
    same."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[int, int, bool]] = []

    def forward(self, x: Tensor, part: Callable[[Tensor], Tensor]) -> Tensor:
        y = part(x)
        self.seen.append((x.shape[1], y.shape[1], x.shape[2:] == y.shape[2:]))
        return y
