"""Write an architecture as a file that people can read and edit."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import yaml

from nas_attn.analysis import Interval
from nas_attn.analysis.verification import Verdict
from nas_attn.architecture.architecture import FORMAT, Architecture, Found, Results, Verified
from nas_attn.architecture.replacing import write_text
from nas_attn.budget import Budget
from nas_attn.commands import command
from nas_attn.errors import AttentionError, ExportError, did_you_mean
from nas_attn.models.described_network import DescribedNetwork, Network
from nas_attn.models.kind import AttentionKind
from nas_attn.models.placement import AttentionSpec
from nas_attn.wording.placements import describe

_HEADER = """\
# {title}
#
#   In Python:      model = nas_attn.load("{name}")
#   Train in full:  {train}
#
# Every attention is written with all of its options. 'placement' may be changed by hand; it is checked on reading.
"""

_COMMENTS = {
    "input": "# Pixels are normalised with these means and standard deviations, one for each channel.\n",
    "results": "# iou is a value of the metric, a fraction of 1, on the validation images; delta is against the "
    "baseline, same seeds.\n",
    "verified": "# On the test data, with fresh seeds: the figures to report.\n",
}

_LIST_TAG, _MAP_TAG = "tag:yaml.org,2002:seq", "tag:yaml.org,2002:map"
_NO_WRAP = 10**6
_WIDTH = 110


def write_architecture(architecture: Architecture, path: str | Path, kinds: Mapping[str, AttentionKind]) -> Path:
    """Write an architecture file; an existing file is replaced in one step.

    Args:
        architecture: to write.
        path: of the file; its folder must exist.
        kinds: the attention kinds by name.
    Returns:
        the path that was written.
    Raises:
        ExportError: the placement has an unknown kind or option, or the path cannot be written.
    """
    path = Path(path)
    text = architecture_text(architecture, kinds, path.name)
    write_text(path, text)
    return path


def architecture_text(architecture: Architecture, kinds: Mapping[str, AttentionKind], name: str) -> str:
    """The content of an architecture file.

    Args:
        architecture: to write.
        kinds: the attention kinds by name.
        name: of the file, for the commands in its header.
    """
    values: dict[str, Any] = {
        "format": FORMAT,
        "network": _network(architecture.network),
        "placement": _placement(architecture, kinds),
        "classes": list(architecture.classes),
        **({"multi_label": True} if architecture.multi_label else {}),
        "input": {
            "image_size": architecture.image_size,
            "mean": list(architecture.mean),
            "std": list(architecture.std),
        },
    }
    known = {"found": architecture.found, "results": architecture.results, "verified": architecture.verified}
    values |= {name: _plain(value) for name, value in known.items() if value}
    sections = [_COMMENTS.get(name, "") + _dump({name: value}) for name, value in values.items()]
    shown = name if name.isprintable() else "FILE"  # a line break would end the comment
    title = f"{network_name(architecture)}: {describe(architecture.placement)}"
    header = _HEADER.format(title=title, name=shown, train=command("train", shown, data="FOLDER"))
    return "\n".join([header, *sections, *_comment(architecture.unverified)])


def network_name(architecture: Architecture) -> str:
    """Name of an architecture in the header of a file."""
    network = architecture.network
    return network.title if isinstance(network, DescribedNetwork) else "Attention U-Net"


def _comment(text: str) -> list[str]:
    """A text as YAML comments; empty for an empty text."""
    return [textwrap.indent(textwrap.fill(text, _WIDTH), "# ") + "\n"] if text else []


def _network(network: Network) -> dict[str, Any]:
    """The fields of a network, with one line for each location; ``frames`` only for clips."""
    if isinstance(network, DescribedNetwork):
        fields_of = network.to_dict()
        return {**fields_of, "sites": {name: _Line(site) for name, site in fields_of["sites"].items()}}
    values = asdict(network)
    if network.frames == 1:
        del values["frames"]
    return values


def _placement(architecture: Architecture, kinds: Mapping[str, AttentionKind]) -> dict[str, Any]:
    problems, written = [], {}
    for location, spec in architecture.placement:
        try:
            written[str(location)] = _attention(spec, kinds)
        except AttentionError as error:
            problems += [f"{location}: {problem}" for problem in error.problems]
    if problems:
        raise ExportError(problems)
    return written


def _attention(spec: AttentionSpec, kinds: Mapping[str, AttentionKind]) -> dict[str, Any]:
    if spec.kind not in kinds:
        raise AttentionError(f"unknown attention '{spec.kind}'; {did_you_mean(spec.kind, kinds)}")
    return _Line(kind=spec.kind, **kinds[spec.kind].complete(spec))


def _plain(value: Found | Results | Verified) -> dict[str, Any]:
    return {field.name: _plain_value(getattr(value, field.name)) for field in fields(value)}


def _plain_value(value: Any) -> Any:
    if isinstance(value, Interval):
        return [value.low, value.high]
    if isinstance(value, Verdict):
        return str(value)
    if isinstance(value, tuple):
        return list(value)
    return _Line(value.to_dict()) if isinstance(value, Budget) else value


class _Line(dict[str, Any]):
    """A mapping that is written on one line."""


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        """Always True, because the reader refuses aliases."""
        return True


_Dumper.add_representer(list, lambda dumper, values: dumper.represent_sequence(_LIST_TAG, values, flow_style=True))
_Dumper.add_representer(_Line, lambda dumper, values: dumper.represent_mapping(_MAP_TAG, values, flow_style=True))


def _dump(section: dict[str, Any]) -> str:
    text: str = yaml.dump(
        section, Dumper=_Dumper, sort_keys=False, allow_unicode=True, default_flow_style=False, width=_NO_WRAP
    )
    return text
