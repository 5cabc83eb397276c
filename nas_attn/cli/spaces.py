"""List the search spaces, or show one of them: its choices, its number of placements and their costs.

nas-attn spaces                     one line for each space that has a name
nas-attn spaces unet_attention      locations x kinds, sizes, limits, the cheapest and the most expensive placement
nas-attn spaces my_space.yaml       the same for a file of your own: every problem in it is named
nas-attn spaces unet_attention --json
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict, dataclass
from typing import Any

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from nas_attn.cli._console import wide_console
from nas_attn.cli._stream import say
from nas_attn.commands import command
from nas_attn.document import shown_path
from nas_attn.models.placement import NONE, AttentionSpec, Location, Placement
from nas_attn.record import Cost
from nas_attn.reporting.terminal.tables import add_numbers
from nas_attn.space import SearchSpace, list_spaces, read_space
from nas_attn.space.find import SpaceSummary
from nas_attn.wording.numbers import power_of_ten


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument("space", nargs="?", metavar="NAME", help="name of a space, or a .yaml file")
    parser.add_argument("--base-channels", type=int, metavar="N", help="C at full resolution (the file's, or 16)")
    parser.add_argument("--image-size", type=int, metavar="N", help="H and W of an image (the file's, or 128)")
    parser.add_argument("--in-channels", type=int, metavar="N", help="channels of an image (the file's, or 3)")
    parser.add_argument("--classes", type=int, metavar="N", help="K, background included (the file's, or 2)")
    parser.add_argument("--json", action="store_true", help="the list, or the space, as JSON")


def run(arguments: argparse.Namespace) -> int:
    """List the spaces, or show one."""
    console = wide_console()
    if arguments.space is None:
        if arguments.json:
            _say_json([_summary_facts(summary) for summary in list_spaces()])
        else:
            _print_list(console)
        return 0
    from nas_attn.models.catalogue import catalogue

    space = read_space(
        arguments.space,
        catalogue(),
        in_channels=arguments.in_channels,
        classes=arguments.classes,
        base_channels=arguments.base_channels,
        image_size=arguments.image_size,
    )
    if arguments.json:
        _say_json(_space_facts(space))
    else:
        _print_space(console, space)
    return 0


def _say_json(facts: object) -> None:
    say(json.dumps(facts, indent=2, ensure_ascii=False))


def _summary_facts(summary: SpaceSummary) -> dict[str, Any]:
    return asdict(summary) | {"path": str(summary.path)}


def _space_facts(space: SearchSpace) -> dict[str, Any]:
    """The description of a space as plain values, for printing."""
    return {
        "name": space.name,
        "description": space.description,
        "network": space.network.headline,
        "image_size": [space.height, space.width],
        "placements": space.size,
        "choices": {str(location): [str(spec) for spec in specs] for location, specs in space.choices},
        "dropped": [[str(gone.location), str(gone.spec)] for gone in space.dropped],
        "costs": {
            name: {
                "parameters": one.cost.parameters,
                "macs": one.cost.macs,
                "attention": _attention(one.placement),
            }
            for name, one in extremes(space).titled.items()
        },
    }


def count_text(number: int) -> str:
    """A count with separated thousands, and as a power of ten if it is large.

    >>> count_text(185045876736)
    '185,045,876,736 (1.9 x 10^11)'
    """
    return f"{number:,}" if number < 10**6 else f"{number:,} ({power_of_ten(number)})"


def _print_list(console: Console) -> None:
    summaries = list_spaces()
    for summary in summaries:
        about = summary.description if summary.problem is None else f"cannot be read: {summary.problem}"
        console.print(Text(summary.name, style="bold"))
        console.print(Padding(Text(about), (0, 0, 0, 4)))
        console.print(Text(f"    {shown_path(summary.path)}"), soft_wrap=True)
    if summaries:
        console.print(f"\n'{command('spaces', summaries[0].name)}' shows one of them")
    else:
        console.print("no search space found; a file search_spaces/NAME.yaml in the current folder is one")


def _print_space(console: Console, space: SearchSpace) -> None:
    network = space.network
    console.print(Text(space.name, style="bold"))
    if space.description:
        console.print(Text(space.description))
    console.print(
        f"\n{network.headline}; {network.in_channels} channels in, {network.classes} classes; "
        f"{space.height}x{space.width} px\n"
    )
    console.print(_choices_table(space, console.encoding.lower().startswith("utf")))
    for line in _limit_lines(space):
        console.print(line)
    console.print(f"\nplacements: {count_text(space.size)}\n")
    found = extremes(space)
    console.print(_cost_table(found))
    for line in _ceiling_lines(space, found):
        console.print(line)


def _choices_table(space: SearchSpace, has_signs: bool) -> Table:
    """Locations x kinds; a check mark is the kind with its defaults, other options are written out."""
    table = Table(box=None, pad_edge=False)
    table.add_column("location", no_wrap=True)
    add_numbers(table, "C", "HxW")
    kinds = _kinds_in(space)
    for kind in kinds:
        table.add_column(kind, justify="center")
    for site, (location, specs) in zip(space.sites, space.choices, strict=True):
        cells = (_cell(kind, location, specs, space, has_signs) for kind in kinds)
        table.add_row(str(location), str(site.channels), f"{site.height}x{site.width}", *map(Text, cells))
    return table


def _kinds_in(space: SearchSpace) -> list[str]:
    """The kinds that are used or were dropped anywhere, ``none`` first."""
    specs = [spec for _, specs in space.choices for spec in specs] + [gone.spec for gone in space.dropped]
    return sorted({spec.kind for spec in specs}, key=lambda kind: (kind != NONE.kind, kind))


def _cell(
    kind: str, location: Location, specs: tuple[AttentionSpec, ...], space: SearchSpace, has_signs: bool
) -> str:
    yes, no, over = ("✓", "·", "✗") if has_signs else ("x", ".", "-")
    variants = [_variant(spec, yes) for spec in specs if spec.kind == kind]
    if variants:
        return "\n".join(variants)
    dropped = any(gone.location == location and gone.spec.kind == kind for gone in space.dropped)
    return over if dropped else no


def _variant(spec: AttentionSpec, yes: str) -> str:
    return str(spec).removeprefix(spec.kind).strip("()") or yes


def _limit_lines(space: SearchSpace) -> list[str]:
    """What the position limit removed, kind by kind."""
    places: dict[str, list[str]] = {}
    for gone in space.dropped:
        places.setdefault(str(gone.spec), []).append(str(gone.location))
    limit = space.limits.max_positions
    return [
        f"\n{spec} dropped at {', '.join(where)}: H*W is over max_positions of {limit}"
        for spec, where in places.items()
    ]


def _cost_table(found: Extremes) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column("", no_wrap=True)
    add_numbers(table, "parameters", "x plain", "MACs", "x plain")
    table.add_column("attention", overflow="fold")
    for title, costed in found.titled.items():
        table.add_row(title, *_cost_cells(costed, found.plain), Text(_attention(costed.placement)))
    return table


def _cost_cells(costed: Costed, plain: Costed) -> tuple[str, ...]:
    cost, base = costed.cost, plain.cost
    return (
        f"{cost.parameters:,}",
        f"{cost.parameters / base.parameters:.2f}",
        f"{cost.macs:,}",
        f"{cost.macs / base.macs:.2f}",
    )


def _attention(placement: Placement) -> str:
    return " ".join(f"{location}={spec}" for location, spec in placement.attended) or "none"


def _ceiling_lines(space: SearchSpace, found: Extremes) -> list[str]:
    lines = []
    for name in ("macs", "parameters"):
        ceiling = getattr(space.limits, f"max_{name}")
        if ceiling is not None:
            bound = ceiling.bound(getattr(found.plain.cost, name))
            relative = f" = {ceiling} the baseline's" if ceiling.kind == "relative" else ""
            lines.append(f"\nceiling: max_{name} {bound:,.0f}{relative}; placements above it are never trained")
    return lines


@dataclass(frozen=True)
class Costed:
    """A placement with its cost."""

    placement: Placement
    cost: Cost


@dataclass(frozen=True)
class Extremes:
    """The baseline, and the placements of a space with the fewest and the most MACs."""

    plain: Costed
    cheapest: Costed
    costliest: Costed

    @property
    def titled(self) -> dict[str, Costed]:
        """Each placement by its title."""
        return {"baseline": self.plain, "cheapest": self.cheapest, "costliest": self.costliest}


def extremes(space: SearchSpace) -> Extremes:
    """The cheapest and the most expensive placement of a space, by MACs, then by parameters.

    Costs add up over the locations, so these have the cheapest or the most expensive choice at each location.
    """
    from nas_attn.training.evaluation import CostTable

    table = CostTable(space.network, space.height, space.width)
    ends: tuple[dict[Location, AttentionSpec], ...] = ({}, {})
    for location, specs in space.choices:
        added = {spec: table.increment(location, spec)[::-1] for spec in specs}
        ends[0][location] = min(added, key=added.__getitem__)
        ends[1][location] = max(added, key=added.__getitem__)
    plain, cheapest, costliest = space.plain, *map(Placement.of, ends)
    return Extremes(*(Costed(placement, table(placement)) for placement in (plain, cheapest, costliest)))
