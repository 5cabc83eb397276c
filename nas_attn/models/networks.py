"""Any network that attention is placed in: our U-Net, or one of somebody else's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from nas_attn.document import Entry, FileKind, Problems, read_model
from nas_attn.errors import NetworkError
from nas_attn.models.described_network import DescribedNetwork, WrittenDescription
from nas_attn.models.families import family_names
from nas_attn.models.network import UNetConfig

Network = UNetConfig | DescribedNetwork


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
        problems.add(entry, "the field 'sites' is missing: this network has not been looked at")
    problems.raise_if_any()
    if written is None:
        raise AssertionError("a network that cannot be read has a problem")
    return written.network
