"""Build a module from a network and a placement, for networks of every family."""

from __future__ import annotations

from collections.abc import Mapping

from torch import nn

from nas_attn.errors import AttentionError, NetworkError, RegistryError, SpaceError
from nas_attn.models.adapted import AdaptedNetwork
from nas_attn.models.attention import Fade, attention_at, takes_upconvolved
from nas_attn.models.catalogue import KINDS
from nas_attn.models.described_network import DescribedNetwork, FoundSite, Network
from nas_attn.models.discovery import build_fresh, keys_of
from nas_attn.models.insertion import CONTAINER, Attentions, HookPoint, Way
from nas_attn.models.kind import AttentionKind, Family, part_problem
from nas_attn.models.network import UNetConfig
from nas_attn.models.placement import Location, Placement, Site, location_problems
from nas_attn.models.unet import UNet


def build_network(network: Network, placement: Placement, seed: int = 0) -> UNet | AdaptedNetwork:
    """Build a network with the attention of a placement; ``none`` adds nothing.

    Args:
        network: without its attention.
        placement: one attention for each of the network's locations.
        seed: of weights that the code of others draws; trained weights are not loaded.
    Returns:
        a module: (N, in_channels, H, W) -> logits (N, K, H, W).
    Raises:
        SpaceError: a location is missing or unknown, or gets an attention that cannot stand there.
        NetworkError: a network of others cannot be built, or has changed.
    """
    if not isinstance(network, DescribedNetwork):
        return build_unet(network, placement)
    theirs = build_fresh(network.asked, network.in_channels, network.classes, seed)
    if keys_of(theirs) != network.keys:
        raise NetworkError(
            f"{network.title}: its parameters have changed since the network was inspected, because the code or "
            "the library has changed: start a new study"
        )
    attention = placed_modules(network, placement)
    trained = network.encoder if network.weights else ()
    return AdaptedNetwork(theirs, network.classes, network.divisor, network.asked.output, attention, trained)


def build_unet(network: UNetConfig, placement: Placement) -> UNet:
    """Build nas-attn's U-Net with the attention of a placement; ``none`` adds nothing.

    Args:
        network: the U-Net without its attention.
        placement: one attention for each of the network's locations.
    Returns:
        a module: (N, in_channels, H, W) -> logits (N, K, H, W). With attention that needs clips, N is a multiple
            of the network's frames T: T consecutive frames of one clip, then those of the next.
    Raises:
        SpaceError: a location is missing or unknown, or gets an attention that cannot stand there; all problems
            are reported together.
    """
    modules = {str(location): module for location, module in _modules(network, placement).items()}
    kinds = {str(location): KINDS[spec.kind].kind for location, spec in placement.attended}
    fading = {place for place, module in modules.items() if isinstance(module, Fade)}
    convolutions = {place for place, kind in kinds.items() if kind.family is Family.CONVOLUTION}
    return UNet(
        in_channels=network.in_channels,
        classes=network.classes,
        depth=network.depth,
        base_channels=network.base_channels,
        norm=network.norm,
        upsampling=network.upsampling,
        attention=modules,
        gated={place for place, kind in kinds.items() if kind.needs_gate},
        gated_finely={str(location) for location, spec in placement.attended if takes_upconvolved(spec)},
        instead=convolutions - fading,
        beside=convolutions & fading,
        around={place for place, kind in kinds.items() if kind.family is Family.BLOCK},
    )


def with_modules(network: Network, modules: Mapping[Location, nn.Module]) -> UNet | AdaptedNetwork:
    """Build a network with the given modules at some of its locations. Each gets only the feature of its
    location."""
    if not isinstance(network, DescribedNetwork):
        return UNet(
            network.in_channels,
            network.classes,
            network.depth,
            network.base_channels,
            network.norm,
            network.upsampling,
            attention={str(location): module for location, module in modules.items()},
        )
    theirs = build_fresh(network.asked, network.in_channels, network.classes, seed=0)
    attention = {
        str(location): (module, network.place_of(location).at, "") for location, module in modules.items()
    }
    return AdaptedNetwork(theirs, network.classes, network.divisor, network.asked.output, attention)


def placed_modules(network: DescribedNetwork, placement: Placement) -> dict[str, tuple[nn.Module, str, str]]:
    """The attention of a placement for a network of others: module, place and gating signal by location.

    Args:
        network: its description.
        placement: one attention for each of its locations.
    Raises:
        SpaceError: a location is missing or unknown, or gets an attention that cannot stand there.
    """
    placed = {}
    for location, module in _modules(network, placement).items():
        kind, found = KINDS[placement[location].kind].kind, network.place_of(location)
        placed[str(location)] = module, _point(kind, module, found), found.gate if kind.needs_gate else ""
    return placed


def _modules(network: Network, placement: Placement) -> dict[Location, nn.Module]:
    """The module of each location that has one. Raises SpaceError with everything that cannot stand at its
    location."""
    least = network.min_image_size
    sites = {site.location: site for site in network.sites(least, least)}
    problems = location_problems(network.locations, placement)
    modules = {}
    for location, spec in placement.attended:
        if location not in sites:
            continue
        try:
            if problem := _place_problem(network, KINDS[spec.kind].kind, sites[location]):
                raise AttentionError(problem)
            modules[location] = attention_at(spec, sites[location], network.classes)
        except (AttentionError, RegistryError) as error:
            problems += [f"{location}: {problem}" for problem in error.problems]
    if problems:
        raise SpaceError(problems)
    return modules


def _place_problem(network: Network, kind: AttentionKind, site: Site) -> str | None:
    """Why a kind cannot stand at a site: in our U-Net because of its stage, in others because of what is missing
    there."""
    if isinstance(network, DescribedNetwork):
        return part_problem(kind, site)
    if site.location.stage in kind.stages:
        return None
    return f"{kind.name} can be placed at {' | '.join(map(str, kind.stages))} only{_reason(kind)}"


def _reason(kind: AttentionKind) -> str:
    if kind.needs_gate:
        return ", because it needs the decoder feature that enters a level"
    if kind.family in (Family.CONVOLUTION, Family.BLOCK):
        return f", because it takes {'a convolution' if kind.family is Family.CONVOLUTION else 'a block'}'s place"
    return ""


def _point(kind: AttentionKind, module: nn.Module, found: FoundSite) -> str:
    """The point at which a module is inserted: after the location's feature, in place of its convolution, or
    around a part."""
    way = way_of(kind, module)
    if way is Way.BEHIND:
        return found.at
    return str(HookPoint(found.block if kind.family is Family.BLOCK else found.convolution, way=way))


def way_of(kind: AttentionKind, module: nn.Module) -> Way:
    """How a module of a kind is inserted. A module that fades in from a convolution needs it, and wraps it."""
    if not kind.replaces:
        return Way.BEHIND
    return Way.AROUND if kind.family is Family.BLOCK or isinstance(module, Fade) else Way.INSTEAD


def attention_modules(module: nn.Module) -> dict[str, nn.Module]:
    """The attention modules of a network by location, such as ``skip.3``, for networks of every family."""
    if isinstance(module, UNet):
        return {name.replace("_", "."): one for name, one in module.attention.items()}
    inner = module.network if isinstance(module, AdaptedNetwork) else module
    attentions = getattr(inner, CONTAINER, None)
    return attentions.by_location() if isinstance(attentions, Attentions) else {}


def attention_prefix(module: nn.Module) -> str:
    """Prefix of the names of all attention parameters of a network."""
    if isinstance(module, UNet):
        return "attention."
    return f"network.{CONTAINER}." if isinstance(module, AdaptedNetwork) else f"{CONTAINER}."
