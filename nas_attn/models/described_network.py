"""A network of somebody else's as a value: which locations it has, and how it is built again; and any network."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Annotated, Any

from nas_attn.document import Entry, FileKind, Problems, Read, read_model, shown
from nas_attn.errors import NetworkError
from nas_attn.models.asked_network import AskedNetwork, Normalisation
from nas_attn.models.families import family_names
from nas_attn.models.network import Classes, Count, UNetConfig
from nas_attn.models.placement import NONE, Convolution, Location, Placement, Site, Stage

_SITES = "{encoder.1: {at: encoder.layer1, channels: 64, stride: 2}}"


@dataclass(frozen=True)
class FoundSite:
    """A location that was found in a network.

    Args:
        location: the place.
        at: the feature there, such as ``encoder.layer2`` or ``decoder.blocks.1(skip_connection)``.
        channels: C of it.
        stride: pixels of the image on each side that one of its positions stands for.
        gate: the gating signal, another feature of the same call; empty where there is none.
        gate_channels: C of that; 0 where there is none.
        gate_stride: its stride; 0 where there is none.
        convolution: the 3x3 convolution of C to C channels that the feature was made by last, for which a module
            can stand in; empty where there is none.
        convolution_bias: whether it has a bias.
        block: a submodule that gives the feature and is given one map of its size; empty where there is none.
        block_channels: channels of that map; 0 where there is none.
    """

    location: Location
    at: str
    channels: int
    stride: int
    gate: str = ""
    gate_channels: int = 0
    gate_stride: int = 0
    convolution: str = ""
    convolution_bias: bool = False
    block: str = ""
    block_channels: int = 0

    def site(self, height: int, width: int) -> Site:
        """With its sizes for an image of H x W pixels, both multiples of the stride."""
        gated = bool(self.gate)
        return Site(
            self.location,
            channels=self.channels,
            height=height // self.stride,
            width=width // self.stride,
            gate_channels=self.gate_channels if gated else None,
            gate_size=(height // self.gate_stride, width // self.gate_stride) if gated else None,
            block_channels=self.block_channels if self.block else None,
            convolution=Convolution(self.convolution_bias) if self.convolution else None,
        )

    def to_dict(self) -> dict[str, Any]:
        """As plain values, less what is not there, and less the location."""
        values = {name: value for name, value in vars(self).items() if name != "location"}
        return {name: value for name, value in values.items() if value}


@dataclass(frozen=True)
class DescribedNetwork:
    """A network without its attention that is not ours, as one dry run has found it.

    Args:
        asked: how it is built.
        in_channels: channels of an image.
        classes: K, the number of classes that are told apart, background included.
        found: its locations.
        divisor: both sides of an image are continued to multiples of it.
        least_size: the smallest side of an image that it can be trained on; a multiple of the divisor.
        keys: digest of the names and shapes of its parameters.
        weights: SHA-256 of the file of its weights; empty where it starts without.
        normalisation: of the images, as the weights want it; None is that of the data.
    """

    asked: AskedNetwork
    in_channels: int
    classes: int
    found: tuple[FoundSite, ...]
    divisor: int
    least_size: int
    keys: str
    weights: str = ""
    normalisation: Normalisation | None = None

    @property
    def frames(self) -> int:
        """Images are still: no family has clips."""
        return 1

    @property
    def locations(self) -> tuple[Location, ...]:
        """All places of the network, in order."""
        return tuple(site.location for site in self.found)

    @property
    def plain(self) -> Placement:
        """``none`` at every location."""
        return Placement(tuple((location, NONE) for location in self.locations))

    @property
    def min_image_size(self) -> int:
        """The smallest H or W that it can be trained on."""
        return self.least_size

    @property
    def input_name(self) -> str:
        """What one pass takes in, for which costs are counted."""
        return "image"

    @property
    def depth(self) -> int:
        """The number of halvings down to the deepest location."""
        return max(self.level_of(location) for location in self.locations)

    @property
    def title(self) -> str:
        """Its name, as it was asked for."""
        return str(self.asked)

    @property
    def headline(self) -> str:
        """What it is, in some words."""
        return f"{self.title}, weights: {self.asked.weights}"

    @property
    def size_text(self) -> str:
        """What its speed depends on, in some words."""
        return f"{self.title} {self.keys}"

    @property
    def encoder(self) -> tuple[str, ...]:
        """Beginnings of the names of the encoder's parameters: of the modules at the top in which features go
        down, and none comes up."""
        down = {site.at.partition(".")[0] for site in self.found if site.location.stage is Stage.ENCODER}
        up = {
            re.split(r"[.(]", site.at)[0]
            for site in self.found
            if site.location.stage in (Stage.SKIP, Stage.DECODER)
        }
        return tuple(f"{top}." for top in sorted(down - up))

    def level_of(self, location: Location) -> int:
        """How often the image is halved down to a location."""
        return self.place_of(location).stride.bit_length() - 1

    def channels_at(self, location: Location) -> int:
        """C at a location."""
        return self.place_of(location).channels

    def sites(self, height: int, width: int) -> tuple[Site, ...]:
        """Every location with its sizes for an image of H x W pixels, which is continued to what the network
        wants.

        Raises:
            NetworkError: the image is too small.
        """
        if min(height, width) < self.least_size:
            raise NetworkError(
                f"an image of {height}x{width} pixels is too small for {self.title}; both sides must be at least "
                f"{self.least_size}"
            )
        continued = [-(-side // self.divisor) * self.divisor for side in (height, width)]
        return tuple(site.site(*continued) for site in self.found)

    def to_dict(self) -> dict[str, Any]:
        """As plain values: the fields of ``WrittenDescription``."""
        return {
            **self.asked.to_dict(),
            "in_channels": self.in_channels,
            "classes": self.classes,
            "divisor": self.divisor,
            "least_size": self.least_size,
            "keys": self.keys,
            **({"weights_sha256": self.weights} if self.weights else {}),
            **({"normalisation": self.normalisation.to_dict()} if self.normalisation else {}),
            "sites": {str(site.location): site.to_dict() for site in self.found},
        }

    def place_of(self, location: Location) -> FoundSite:
        """Where a location is in the network."""
        for site in self.found:
            if site.location == location:
                return site
        raise NetworkError(
            f"{self.title} has no location {location}; it has {', '.join(map(str, self.locations))}"
        )


@dataclass(frozen=True)
class WrittenDescription(AskedNetwork):
    """What a file says of a network of somebody else's after it was looked at; without ``sites`` it was not."""

    in_channels: Count = 3
    classes: Classes = 2
    divisor: Count = 1
    least_size: Count = 1
    keys: str = ""
    weights_sha256: str = ""
    normalisation: Normalisation | None = None
    sites: Annotated[tuple[FoundSite, ...], Read(_sites, _SITES)] = ()

    @property
    def asked(self) -> AskedNetwork:
        """What was asked for alone."""
        return AskedNetwork(**{one.name: getattr(self, one.name) for one in fields(AskedNetwork)})

    @property
    def network(self) -> DescribedNetwork:
        """The network that it describes."""
        return DescribedNetwork(
            self.asked,
            self.in_channels,
            self.classes,
            self.sites,
            self.divisor,
            self.least_size,
            self.keys,
            self.weights_sha256,
            self.normalisation,
        )


Network = UNetConfig | DescribedNetwork
"""Any network that attention is placed in: our U-Net, or one of somebody else's."""


def network_from_dict(values: Mapping[str, Any]) -> Network:
    """The network of a study, from the fields that its space keeps.

    Raises:
        NetworkError: the values are wrong.
    """
    if values.get("family") not in family_names():
        return UNetConfig(**{one.name: values[one.name] for one in fields(UNetConfig) if one.name in values})
    problems = Problems("network", FileKind("a network", "family: smp", NetworkError))
    entry = Entry.of({name: value for name, value in values.items() if name != "image_size"})
    written = read_model(entry, WrittenDescription, problems)
    if written is not None and not written.sites:
        problems.add(entry, "the field 'sites' is missing: this network has not been inspected")
    problems.raise_if_any()
    if written is None:
        raise AssertionError("a network that cannot be read has a problem")
    return written.network


def _sites(value: object) -> tuple[FoundSite, ...]:
    if not isinstance(value, dict) or not value:
        raise ValueError(f"must be {_SITES}, not {shown(value)}")
    return tuple(sorted((_site(name, site) for name, site in value.items()), key=lambda site: site.location))


def _site(name: str, value: object) -> FoundSite:
    types = {one.name: one.type for one in fields(FoundSite) if one.name != "location"}
    given = value if isinstance(value, dict) else {}
    sound = {"at", "channels", "stride"} <= set(given) and all(
        type(one).__name__ == types.get(field) and (type(one) is not int or one >= 1)
        for field, one in given.items()
    )
    if not sound:
        raise ValueError(f"{name}: must be a place with its sizes, such as {_SITES}, not {shown(value)}")
    return FoundSite(Location.parse(name), **given)
