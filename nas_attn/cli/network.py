"""Show where attention may stand in a network that is not nas-attn's own, and write it down for a search.

nas-attn network smp:Unet/resnet34                     of segmentation_models.pytorch, with any of its encoders
nas-attn network monai:BasicUNet                       of MONAI, 2-D
nas-attn network nnunet:plans.json                     of nnU-Net, or nnunet:PlainConvUNet
nas-attn network my_package.my_model:make              any class or function that can be imported
nas-attn network my_package.my_model:make --weights trained.safetensors -o network.yaml

The network is built once, and an image is sent through it. Given a network file, the verb shows the network again,
with the locations that were changed by hand.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nas_attn.cli._output import check_writable
from nas_attn.cli._stream import say
from nas_attn.commands import command
from nas_attn.steps import step

if TYPE_CHECKING:
    from rich.table import Table

    from nas_attn.models.asked_network import AskedNetwork
    from nas_attn.models.described_network import DescribedNetwork
    from nas_attn.models.discovery import Looked
    from nas_attn.models.kind import Family
    from nas_attn.models.placement import Site

_SIDE = 256
"""H and W of the image for which sizes are shown, in pixels."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument("network", metavar="NETWORK", help="such as smp:Unet/resnet34, or a network file")
    parser.add_argument(
        "--weights", metavar="WEIGHTS", help="imagenet, none, or a file (the network file's, or none)"
    )
    parser.add_argument("--in-channels", type=int, default=3, metavar="N", help="channels of an image [3]")
    parser.add_argument("--classes", type=int, default=2, metavar="N", help="K, background included [2]")
    parser.add_argument(
        "-o", "--output", type=Path, metavar="FILE", help="write the network file, such as network.yaml"
    )
    parser.add_argument("--json", action="store_true", help="what was found as one object")


def run(arguments: argparse.Namespace) -> int:
    """Show the locations that were found, and write the network file if asked to."""
    from nas_attn.models.discovery import look_at
    from nas_attn.study.setup.request import network_named

    _check_numbers(arguments)
    if arguments.output is not None:
        check_writable(arguments.output)
    asked = network_named(arguments.network)
    if arguments.weights is not None:
        asked = replace(asked, weights=arguments.weights)
    with step(f"looking at {asked}"):
        looked = look_at(asked, arguments.in_channels, arguments.classes)
    if arguments.json:
        say(json.dumps(_facts(looked), indent=2))
    else:
        _show(looked)
    written = network_yaml(looked.network)
    if arguments.output is not None:
        _write(arguments.output, written)
    elif not arguments.json:
        say(f"\nAs a network file, to be changed by hand:\n\n{written}")
    if not arguments.json:
        named = arguments.output or arguments.network
        weights = None if arguments.output else arguments.weights
        say(f"\nNext: {command('search', network=named, weights=weights, data='FOLDER')}")
    return 0


def network_yaml(network: DescribedNetwork) -> str:
    """A network file: the fields that were given, and the locations that were found."""
    import yaml

    from nas_attn.models.asked_network import AskedSite

    named = {str(site.location): AskedSite(site.at, site.gate) for site in network.found}
    asked: AskedNetwork = replace(network.asked, locations=named)
    text: str = yaml.safe_dump(asked.to_dict(), sort_keys=False, allow_unicode=True, width=1000)
    return text


def _check_numbers(arguments: argparse.Namespace) -> None:
    from nas_attn.document import problem_of
    from nas_attn.errors import UsageError
    from nas_attn.models.network import Classes, Count

    hints = {"in_channels": Count, "classes": Classes}
    problems = [(name, problem_of(hint, getattr(arguments, name))) for name, hint in hints.items()]
    if found := [f"--{name.replace('_', '-')}: {problem}" for name, problem in problems if problem]:
        raise UsageError(found)


def _write(path: Path, text: str) -> None:
    from nas_attn.architecture.replacing import write_text

    write_text(path, text)
    say(f"\n{path}: written; change its locations by hand where they should be others")


def _facts(looked: Looked) -> dict[str, Any]:
    network = looked.network
    return {
        **network.to_dict(),
        "unclear": list(looked.unclear),
        "weights_fit": None if looked.weights is None else str(looked.weights),
        "may_stand": {str(site.location): _fitting(site) for site in _sites(network)},
        "why_not": {
            str(site.location): {name: reason for name, reason in _reasons(site).items() if reason}
            for site in _sites(network)
        },
    }


def _sites(network: DescribedNetwork) -> tuple[Site, ...]:
    side = max(_SIDE, network.least_size)
    return network.sites(side, side)


def _show(looked: Looked) -> None:
    from nas_attn.cli._console import wide_console
    from nas_attn.export.drawing import draw_in_letters

    network, console = looked.network, wide_console()
    of = f"{network.in_channels} channels in, {network.classes} classes; sides are continued to multiples of "
    console.print(f"{network.headline}; {of}{network.divisor}, at least {network.least_size} px\n")
    console.print(_table(network))
    console.print(f"\n{draw_in_letters(network, network.plain)}\n", soft_wrap=True)
    for line in _replaced(network):
        console.print(line, soft_wrap=True)
    for line in _nowhere(network):
        console.print(line, soft_wrap=True)
    if looked.weights is not None:
        console.print(f"weights: {looked.weights}")
    for line in looked.unclear:
        console.print(f"no place: {line}")


def _table(network: DescribedNetwork) -> Table:
    from rich.table import Table

    from nas_attn.models.catalogue import catalogue
    from nas_attn.reporting.terminal.tables import add_numbers

    table = Table(box=None, pad_edge=False)
    table.add_column("location", no_wrap=True)
    add_numbers(table, "C", "stride", "HxW")
    table.add_column("place", overflow="fold")
    table.add_column("gating signal", overflow="fold")
    add_numbers(table, "kinds")
    for found, site in zip(network.found, _sites(network), strict=True):
        gate = f"{found.gate} ({found.gate_channels} at 1/{found.gate_stride})" if found.gate else "-"
        sizes = map(str, (found.channels, found.stride, f"{site.height}x{site.width}"))
        share = f"{len(_fitting(site))} of {len(catalogue())}"
        table.add_row(str(found.location), *sizes, found.at, gate, share)
    return table


def _fitting(site: Site) -> list[str]:
    """The kinds that can be placed at a site."""
    return [name for name, reason in _reasons(site).items() if reason is None]


def _reasons(site: Site) -> dict[str, str | None]:
    """For every kind, why it cannot be placed at a site; None if it can."""
    from nas_attn.models.catalogue import catalogue
    from nas_attn.space.rules import clip_problem, site_problem, stage_problem

    return {
        name: stage_problem(kind, site.location.stage) or site_problem(kind, site) or clip_problem([kind], 1)
        for name, kind in catalogue().items()
    }


def _replaced(network: DescribedNetwork) -> list[str]:
    """The parts that some kinds replace or wrap, one line for each sort of part."""
    from nas_attn.models.kind import Family

    parts = {
        Family.CONVOLUTION: ("in the place of", {site.location: site.convolution for site in network.found}),
        Family.BLOCK: ("around", {site.location: site.block for site in network.found}),
    }
    lines = []
    for family, (way, where) in parts.items():
        found = [f"{part} ({location})" for location, part in where.items() if part]
        if found:
            lines.append(f"{', '.join(_of_family(family))}: {way} {', '.join(found)}")
    return lines


def _of_family(family: Family) -> list[str]:
    from nas_attn.models.catalogue import catalogue

    return [name for name, kind in catalogue().items() if kind.family is family]


def _nowhere(network: DescribedNetwork) -> list[str]:
    """The kinds that can be placed at no location, one line for each reason."""
    from nas_attn.models.kind import Family

    convolution = any(site.convolution for site in network.found)
    block = any(site.block for site in network.found)
    groups = {
        "need a 3x3 convolution of stride 1, as many channels in as out, and one group": (
            [] if convolution else _of_family(Family.CONVOLUTION)
        ),
        "need a block that is given one map and keeps its size": [] if block else _of_family(Family.BLOCK),
        "need the frames of clips": _of_family(Family.TEMPORAL),
    }
    return [f"nowhere: {', '.join(names)}; they {why}" for why, names in groups.items() if names]
