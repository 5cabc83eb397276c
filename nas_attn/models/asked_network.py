"""The network that a search is asked to use, as users write it: ``smp:Unet/resnet34``, or the fields of a file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

from nas_attn.document import Read, one_of, shown
from nas_attn.models.families import family_names
from nas_attn.models.placement import Location

MODULE = "module"
"""The family of everything that can be imported, as ``my_package.my_model:make``."""
DATA, IMAGENET = "data", "imagenet"
NO_WEIGHTS = "none"
ALL, ATTENTION_AND_HEAD, DECODER_AND_ATTENTION = "all", "attention+head", "decoder+attention"
TRAINABLE = (ALL, ATTENTION_AND_HEAD, DECODER_AND_ATTENTION)
_NORMALISE = "data, imagenet or {mean: [...], std: [...]} with one number for each channel"
_LOCATIONS = "a mapping of locations such as {encoder.1: encoder.layer1}"


@dataclass(frozen=True)
class Normalisation:
    """Mean and standard deviation of each channel, in units of the full range of a pixel (1 is white)."""

    mean: tuple[float, ...]
    std: tuple[float, ...]

    def to_dict(self) -> dict[str, list[float]]:
        """Plain values, for JSON and YAML."""
        return {"mean": list(self.mean), "std": list(self.std)}


@dataclass(frozen=True)
class AskedSite:
    """A location as the user names it.

    Args:
        at: the feature, such as ``decoder.blocks.1(skip_connection)``.
        gate: its gating signal, another feature of the same call.
    """

    at: str
    gate: str = ""

    def to_dict(self) -> str | dict[str, str]:
        """Plain values, in the shortest form."""
        return {"at": self.at, "gate": self.gate} if self.gate else self.at


@dataclass(frozen=True)
class AskedNetwork:
    """A network of others.

    Args:
        family: that builds it: ``smp``, ``monai``, ``nnunet``, ``module`` or a registered one.
        build: what the family has to build, such as ``Unet/resnet34`` or ``my_package.my_model:make``.
        arguments: of the call that builds it.
        weights: ``none``, ``imagenet``, or a file with trained weights.
        normalise: how images are normalised; None takes the normalisation of the weights.
        output: name or number of the item with the class scores in what the network returns; empty for the whole,
            or else the first item.
        train: the parts that are trained.
        locations: places named by the user, instead of those that are found, or in addition to them.
    """

    family: str
    build: str
    arguments: Annotated[Mapping[str, Any], Read(_mapping, "a mapping")] = field(default_factory=dict, hash=False)
    weights: str = NO_WEIGHTS
    normalise: Annotated[str | Normalisation | None, Read(_normalise, _NORMALISE)] = None
    output: str = ""
    train: Annotated[str, one_of(*TRAINABLE)] = ALL
    locations: Annotated[Mapping[str, AskedSite], Read(_locations, _LOCATIONS)] = field(
        default_factory=dict, hash=False
    )

    def to_dict(self) -> dict[str, Any]:
        """The fields that were given, as plain values."""
        said: dict[str, Any] = {"family": self.family, "build": self.build}
        if self.arguments:
            said["arguments"] = dict(self.arguments)
        said["weights"] = self.weights
        if self.normalise is not None:
            said["normalise"] = self.normalise if isinstance(self.normalise, str) else self.normalise.to_dict()
        if self.output:
            said["output"] = self.output
        said["train"] = self.train
        if self.locations:
            said["locations"] = {name: site.to_dict() for name, site in self.locations.items()}
        return said

    @classmethod
    def parse(cls, text: str) -> AskedNetwork:
        """Read ``smp:Unet/resnet34``, ``monai:BasicUNet``, ``nnunet:plans.json`` or
        ``my_package.my_model:make``.
        """
        family, colon, build = text.partition(":")
        if colon and family in family_names() and family != MODULE:
            return cls(family, build)
        return cls(MODULE, text)

    def __str__(self) -> str:
        return self.build if self.family == MODULE else f"{self.family}:{self.build}"


def _normalise(value: object) -> str | Normalisation:
    if value in (DATA, IMAGENET):
        return str(value)
    if isinstance(value, dict) and set(value) == {"mean", "std"}:
        mean, std = (value[name] if isinstance(value[name], list) else [] for name in ("mean", "std"))
        numbers = all(type(one) in (int, float) for one in (*mean, *std))
        if numbers and len(mean) == len(std) and mean and all(one > 0 for one in std):
            return Normalisation(tuple(map(float, mean)), tuple(map(float, std)))
    raise ValueError(f"must be {_NORMALISE}, not {shown(value)}")


def _locations(value: object) -> Mapping[str, AskedSite]:
    if not isinstance(value, dict):
        raise ValueError(f"must be {_LOCATIONS}, not {shown(value)}")
    found = {}
    for name, site in value.items():
        Location.parse(str(name))
        if isinstance(site, str):
            found[str(name)] = AskedSite(site)
        elif isinstance(site, dict) and isinstance(site.get("at"), str) and set(site) <= {"at", "gate"}:
            found[str(name)] = AskedSite(site["at"], str(site.get("gate", "")))
        else:
            raise ValueError(f"{name}: must be a place, or {{at: a place, gate: a place}}, not {shown(site)}")
    return found


def _mapping(value: object) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise ValueError(f"must be a mapping, not {shown(value)}")
    return value
