"""Inspect a network once and describe it. A study uses this description from then on."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from nas_attn.errors import NetworkError
from nas_attn.models.adapted import scores_of, two_scores
from nas_attn.models.asked_network import IMAGENET, NO_WEIGHTS, AskedNetwork, AskedSite, Normalisation
from nas_attn.models.described_network import DescribedNetwork, FoundSite
from nas_attn.models.discovery.parts import with_parts
from nas_attn.models.discovery.sites import find_sites
from nas_attn.models.discovery.tape import HEIGHT, WIDTH, record
from nas_attn.models.discovery.weights import FittedWeights, asked_weights, keep_weights
from nas_attn.models.families._call import build_fresh, first_line
from nas_attn.models.insertion import Place, insert_modules
from nas_attn.models.placement import Location

IMAGENET_STATISTICS = Normalisation((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
_LARGEST_LEAST = 8
"""The smallest image size is searched up to this many times the divisor."""


@dataclass(frozen=True)
class Looked:
    """A network, and what its inspection found.

    Args:
        network: the description.
        unclear: locations that it may have but that were not found, each with the reason.
        weights: how the weights fitted; None if it starts without.
    """

    network: DescribedNetwork
    unclear: tuple[str, ...]
    weights: FittedWeights | None


def look_at(asked: AskedNetwork, in_channels: int = 3, classes: int = 2, *, multi_label: bool = False) -> Looked:
    """Build a network once, find its locations, and fit and store its weights.

    Args:
        asked: the network.
        in_channels: channels of an image.
        classes: K.
        multi_label: whether the classes may overlap, so that each needs its own score.
    Raises:
        NetworkError: it cannot be built, does not return class scores for each pixel or has no location; or its
            weights do not exist or belong to another network. Problems are reported together where possible.
    """
    network = build_fresh(asked, in_channels, classes, seed=0)
    ghost = on_meta(network)
    found, unclear = locate(asked, ghost, in_channels, classes, multi_label=multi_label)
    divisor = max(site.stride for site in found)
    fitted = asked_weights(asked, network, in_channels, classes)
    described = DescribedNetwork(
        asked=asked,
        in_channels=in_channels,
        classes=classes,
        found=found,
        divisor=divisor,
        least_size=_least_size(ghost, asked, in_channels, divisor),
        keys=keys_of(network),
        weights=keep_weights(fitted.tensors) if fitted else "",
        normalisation=_normalisation(asked, in_channels),
    )
    return Looked(described, unclear, fitted)


def check_asked(asked: AskedNetwork) -> None:
    """Build a network for colour images and two classes, and find its weights, so that errors are reported early.

    Raises:
        NetworkError: it cannot be built, or the file of its weights does not exist.
    """
    problems = []
    if asked.weights not in (NO_WEIGHTS, IMAGENET) and not Path(asked.weights).expanduser().is_file():
        problems.append(f"{asked.weights}: there is no such file of weights; give one, imagenet or none")
    try:
        build_fresh(asked, in_channels=3, classes=2, seed=0)
    except NetworkError as error:
        problems += error.problems
    if problems:
        raise NetworkError(problems)


def locate(
    asked: AskedNetwork, ghost: nn.Module, in_channels: int, classes: int, *, multi_label: bool = False
) -> tuple[tuple[FoundSite, ...], tuple[str, ...]]:
    """The locations of a network, and why others were not found.

    Args:
        asked: gives the places that the user names.
        ghost: the network on the meta device, in eval mode.
        in_channels: of an image.
        classes: K.
        multi_label: whether the classes may overlap.
    Raises:
        NetworkError: it fails, does not return class scores for each pixel, or has no location.
    """
    try:
        tape = record(ghost, in_channels)
    except Exception as error:  # whatever the code of others raises
        raise NetworkError(
            f"{asked}: fails on an image of {HEIGHT}x{WIDTH} pixels with {in_channels} channels: "
            f"{type(error).__name__}: {first_line(error)}"
        ) from error
    _check_scores(asked, tape.output, classes, multi_label)
    findings = find_sites(tape)
    sites = {site.location: site for site in findings.sites}
    named = {Location.parse(name): site for name, site in asked.locations.items()}
    for location in named:
        sites.pop(location, None)
    seen, problems = _seen(ghost, in_channels, named, tuple(sites.values()))
    if problems:
        raise NetworkError([f"{asked}: locations: {problem}" for problem in problems])
    unclear = tuple(line for line in findings.unclear if Location.parse(line.partition(":")[0]) not in named)
    if not seen:
        why = "; ".join(unclear) or "it does not reduce the resolution and restore it"
        raise NetworkError(
            f"{asked}: no location for attention was found: {why}; name some in a network file, as locations: "
            "{encoder.1: a submodule}"
        )
    whole = with_parts(tape, ghost, sorted(seen, key=lambda site: site.location))
    return whole, unclear


def check_places(model: nn.Module, network: DescribedNetwork, replaced: Collection[Location] = ()) -> None:
    """Check that a network has the places of an inspected one, with their sizes.

    Args:
        model: any network; it is not changed.
        network: the inspected network.
        replaced: locations at which a part of the network will be replaced or wrapped.
    Raises:
        NetworkError: a place or a part is missing or has another size, or attention was inserted before.
    """
    ghost = on_meta(model)
    places = {site.location: AskedSite(site.at, site.gate) for site in network.found}
    seen = _tried(ghost, network.in_channels, places)
    if replaced:
        seen = list(with_parts(record(ghost, network.in_channels), ghost, seen))
    problems = [_difference(one, network.place_of(one.location), network.title, replaced) for one in seen]
    if found := [problem for problem in problems if problem]:
        raise NetworkError(found)


def _difference(seen: FoundSite, wanted: FoundSite, title: str, replaced: Collection[Location]) -> str:
    """What is wrong with a place; empty if nothing is."""
    sizes = ("channels", "stride", "gate", "gate_channels", "gate_stride")
    if any(getattr(seen, name) != getattr(wanted, name) for name in sizes):
        return (
            f"{seen.location}: {seen.at} has {seen.channels} channels at 1/{seen.stride}, and had "
            f"{wanted.channels} at 1/{wanted.stride} in {title}"
        )
    if seen.location in replaced and seen != wanted:
        parts = " or ".join(filter(None, (wanted.convolution, wanted.block)))
        return f"{seen.location}: {parts} is not there, or not as it was in {title}"
    return ""


def on_meta(network: nn.Module) -> nn.Module:
    """A copy that has sizes but no values, in eval mode."""
    ghost, shared = copy.deepcopy(network).to("meta").eval(), dict[int, nn.Parameter]()
    for ours, theirs in zip(ghost.modules(), network.modules(), strict=True):
        for name, parameter in theirs.named_parameters(recurse=False):
            # On the way there modules that shared a parameter got one each.
            ours.register_parameter(name, shared.setdefault(id(parameter), ours.get_parameter(name)))
    return ghost


def keys_of(network: nn.Module) -> str:
    """Digest of the names and shapes of a network's parameters and buffers."""
    lines = [f"{name} {tuple(tensor.shape)}" for name, tensor in network.state_dict().items()]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]


def _check_scores(asked: AskedNetwork, given: object, classes: int, multi_label: bool) -> None:
    scores = scores_of(given, asked.output)
    if multi_label and scores.ndim == 4 and scores.shape[1] == 1:
        raise NetworkError(f"{asked}: returns one score, but {classes} classes that may overlap need one each")
    scores = two_scores(scores, classes)
    if scores.ndim != 4 or scores.shape[1] != classes:
        raise NetworkError(
            f"{asked}: gives {tuple(scores.shape)} for an image of {HEIGHT}x{WIDTH} pixels, and must give class "
            f"scores (1, {classes}, {HEIGHT}, {WIDTH}), or one score for two classes"
        )
    if WIDTH * scores.shape[2] != HEIGHT * scores.shape[3]:
        raise NetworkError(
            f"{asked}: gives scores of {scores.shape[2]}x{scores.shape[3]} for {HEIGHT}x{WIDTH} pixels"
        )


class _SizeProbe(nn.Module):
    """Passes a feature through and stores its shape and that of its gating signal."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[torch.Size, torch.Size | None]] = []

    def forward(self, x: Tensor, gate: Tensor | None = None) -> Tensor:
        self.seen.append((x.shape, None if gate is None else gate.shape))
        return x.view_as(x)


def _seen(
    ghost: nn.Module, in_channels: int, named: Mapping[Location, AskedSite], found: tuple[FoundSite, ...]
) -> tuple[list[FoundSite], list[str]]:
    """The locations as inserted modules see them, and problems of the locations that the user names."""
    asked = {site.location: AskedSite(site.at, site.gate) for site in found}
    seen, problems = [], []
    try:
        seen = _tried(ghost, in_channels, asked)
    except NetworkError:  # one of them disturbs: each by itself
        for location, place in asked.items():
            with suppress(NetworkError):
                seen += _tried(ghost, in_channels, {location: place})
    for location, place in named.items():
        try:
            seen += _tried(ghost, in_channels, {location: place})
        except NetworkError as error:
            problems += list(error.problems)
    return seen, problems


def _tried(ghost: nn.Module, in_channels: int, places: Mapping[Location, AskedSite]) -> list[FoundSite]:
    """The sizes at some places, as modules inserted there see them.

    Raises:
        NetworkError: one of the places does not exist, or is not used exactly once.
    """
    network, probes = copy.deepcopy(ghost), {location: _SizeProbe() for location in places}
    insert_modules(
        network, {str(where): (probes[where], Place.parse(one.at, one.gate)) for where, one in places.items()}
    )
    try:
        with torch.no_grad():
            network(torch.zeros(1, in_channels, HEIGHT, WIDTH, device="meta"))
    except (RuntimeError, TypeError, AttributeError) as error:
        where = ", ".join(f"{location}: {place.at}" for location, place in places.items())
        raise NetworkError(f"{where}: no feature can be taken there: {first_line(error)}") from error
    return [_as_seen(location, places[location], probe) for location, probe in probes.items()]


def _as_seen(location: Location, place: AskedSite, probe: _SizeProbe) -> FoundSite:
    if len(probe.seen) != 1:
        raise NetworkError(
            f"{location}: {place.at} is used {len(probe.seen)} times for an image, and must be used once"
        )
    ((shape, gate_shape),) = probe.seen
    channels, stride = _size(place.at, shape)
    gate_channels, gate_stride = _size(place.gate, gate_shape) if gate_shape else (0, 0)
    return FoundSite(location, place.at, channels, stride, place.gate, gate_channels, gate_stride)


def _size(place: str, shape: torch.Size) -> tuple[int, int]:
    """Channels and stride of a feature."""
    if len(shape) != 4 or HEIGHT % shape[2] or shape[3] * (HEIGHT // shape[2]) != WIDTH:
        raise NetworkError(f"{place} is {tuple(shape)} for an image of {HEIGHT}x{WIDTH}, and no map of it")
    return int(shape[1]), HEIGHT // int(shape[2])


def _least_size(ghost: nn.Module, asked: AskedNetwork, in_channels: int, divisor: int) -> int:
    """The smallest square image on which the network can be trained, two images at a time."""
    for times in range(1, _LARGEST_LEAST + 1):
        network = copy.deepcopy(ghost).train()
        try:
            with torch.no_grad():
                scores_of(
                    network(torch.zeros(2, in_channels, times * divisor, times * divisor, device="meta")),
                    asked.output,
                )
        except (RuntimeError, ValueError, AssertionError, IndexError):
            continue
        return times * divisor
    raise NetworkError(
        f"{asked}: fails in training on images of {_LARGEST_LEAST * divisor} pixels a side and less"
    )


def _normalisation(asked: AskedNetwork, in_channels: int) -> Normalisation | None:
    """The normalisation of the weights: ImageNet's statistics for its weights and colour images, otherwise the
    data's."""
    wanted = asked.normalise or (IMAGENET if asked.weights == IMAGENET and in_channels == 3 else None)
    if isinstance(wanted, Normalisation):
        found = wanted
    elif wanted == IMAGENET:
        found = IMAGENET_STATISTICS
    else:
        return None
    if len(found.mean) != in_channels:
        raise NetworkError(
            f"{asked}: normalise: has {len(found.mean)} channels and the images {in_channels}; write data, or "
            "{mean: [...], std: [...]} with one number for each channel"
        )
    return found
