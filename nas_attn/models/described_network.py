"""A network of others as a value, with its locations and how to build it again; and the union of all networks."""

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
        location: the location.
        at: its feature, such as ``encoder.layer2`` or ``decoder.blocks.1(skip_connection)``.
        channels: C of the feature.
        stride: side, in pixels of the image, of one position of the feature.
        gate: the gating signal, another feature of the same call; empty if there is none.
        gate_channels: C of the gating signal; 0 if there is none.
        gate_stride: its stride; 0 if there is none.
        convolution: the last 3x3 convolution of C to C channels that produces the feature, which a module can
            replace; empty if there is none.
        convolution_bias: whether it has a bias.
        block: a submodule that returns the feature and takes one map of its size; empty if there is none.
        block_channels: channels of that map; 0 if there is none.
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
        """The site for an image of H x W pixels, both multiples of the stride."""
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
        """Plain values, without the location and without what is not there."""
        values = {name: value for name, value in vars(self).items() if name != "location"}
        return {name: value for name, value in values.items() if value}


@dataclass(frozen=True)
class DescribedNetwork:
    """A network of others without its attention, as one dry run has found it.

    Args:
        asked: how it is built.
        in_channels: channels of an image.
        classes: K, the number of classes, background included.
        found: its locations.
        divisor: both sides of an image are padded to multiples of it.
        least_size: the smallest side of an image on which it can be trained; a multiple of the divisor.
        keys: digest of the names and shapes of its parameters.
        weights: SHA-256 of the file of its weights; empty if it starts without.
        normalisation: of the images, as the weights need it; None takes that of the data.
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
        """1: no family takes clips."""
        return 1

    @property
    def locations(self) -> tuple[Location, ...]:
        """All locations of the network, in order."""
        return tuple(site.location for site in self.found)

    @property
    def plain(self) -> Placement:
        """``none`` at every location."""
        return Placement(tuple((location, NONE) for location in self.locations))

    @property
    def min_image_size(self) -> int:
        """The smallest H or W on which it can be trained."""
        return self.least_size

    @property
    def input_name(self) -> str:
        """Name of its input in one forward pass, for which costs are counted."""
        return "image"

    @property
    def depth(self) -> int:
        """The number of halvings down to the deepest location."""
        return max(self.level_of(location) for location in self.locations)

    @property
    def title(self) -> str:
        """Its name, as the user wrote it."""
        return str(self.asked)

    @property
    def headline(self) -> str:
        """A short description."""
        return f"{self.title}, weights: {self.asked.weights}"

    @property
    def size_text(self) -> str:
        """What its speed depends on, in words."""
        return f"{self.title} {self.keys}"

    @property
    def encoder(self) -> tuple[str, ...]:
        """Prefixes of the names of the encoder's parameters: of the top-level modules in which features only lose
        resolution."""
        down = {site.at.partition(".")[0] for site in self.found if site.location.stage is Stage.ENCODER}
        up = {
            re.split(r"[.(]", site.at)[0]
            for site in self.found
            if site.location.stage in (Stage.SKIP, Stage.DECODER)
        }
        return tuple(f"{top}." for top in sorted(down - up))

    def level_of(self, location: Location) -> int:
        """Number of halvings of the image down to a location."""
        return self.place_of(location).stride.bit_length() - 1

    def channels_at(self, location: Location) -> int:
        """C at a location."""
        return self.place_of(location).channels

    def sites(self, height: int, width: int) -> tuple[Site, ...]:
        """Every location with its sizes for an image of H x W pixels, padded to a size that the network accepts.

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
        """Plain values: the fields of ``WrittenDescription``."""
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
        """The place of a location in the network."""
        for site in self.found:
            if site.location == location:
                return site
        raise NetworkError(
            f"{self.title} has no location {location}; it has {', '.join(map(str, self.locations))}"
        )


@dataclass(frozen=True)
class WrittenDescription(AskedNetwork):
    """The fields of a file about a network of others after its inspection; ``sites`` is missing if it was not
    inspected."""

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
        """Only what the user asked for."""
        return AskedNetwork(**{one.name: getattr(self, one.name) for one in fields(AskedNetwork)})

    @property
    def network(self) -> DescribedNetwork:
        """The network that the file describes."""
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
"""Any network in which attention is placed: our U-Net, or a network of others."""


def network_from_dict(values: Mapping[str, Any]) -> Network:
    """The network of a study, from the fields in its space.

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
