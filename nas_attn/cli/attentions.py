"""List the attention kinds with their papers, options and costs, or show one of them in full.

nas-attn attentions                                   every kind
nas-attn attentions cbam                              cbam in full: its options, its cost, its name in a space
nas-attn attentions --family context --stage skip     the context kinds that can be placed at a skip
nas-attn attentions --max-macs 1M --max-parameters 1k the cheap ones
nas-attn attentions --json                            any of these as JSON
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from nas_attn.cli._attention_costs import DEEP, FRAMES, SHALLOW
from nas_attn.cli._kind_filter import KindFilter
from nas_attn.cli._stream import say
from nas_attn.commands import command
from nas_attn.errors import RegistryError, UsageError, did_you_mean
from nas_attn.models.catalogue import KINDS, catalogue, docstring_of
from nas_attn.models.kind import START, AttentionKind, Family, Option
from nas_attn.models.placement import OptionValue, Stage

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``nas-attn attentions``."""
    parser.add_argument("name", nargs="?", metavar="NAME", help="a kind, such as cbam; all of them where left out")
    families, stages = ", ".join(map(str, Family)), ", ".join(map(str, Stage))
    parser.add_argument("--family", metavar="FAMILY", help=f"only this family: {families}")
    parser.add_argument("--stage", metavar="STAGE", help=f"only kinds that may stand there: {stages}")
    parser.add_argument(
        "--max-macs", metavar="COUNT", help=f"only kinds that need at most so many MACs at {SHALLOW}: 5M"
    )
    parser.add_argument(
        "--max-parameters", metavar="COUNT", help="only kinds with at most so many parameters there: 2k"
    )
    parser.add_argument("--json", action="store_true", help="a JSON list, one object for each kind")


def run(arguments: argparse.Namespace) -> int:
    """Print the kinds, or one of them."""
    from nas_attn.cli._console import wide_console

    chosen = KindFilter.of(arguments)
    if arguments.name is not None and chosen != KindFilter():
        raise UsageError("NAME shows one kind; it cannot be combined with --family, --stage or --max-...")
    if arguments.json:
        kinds = [_kind(arguments.name)] if arguments.name else _chosen(chosen, tuple(catalogue().values()))
        say(json.dumps([_facts(kind) for kind in kinds], indent=2, ensure_ascii=False))
    elif arguments.name is None:
        _print_all(wide_console(), chosen, tuple(catalogue().values()))
    else:
        _print_one(wide_console(), _kind(arguments.name), docstring_of(arguments.name))
    return 0


def _kind(name: str) -> AttentionKind:
    kinds = catalogue()
    if name not in kinds:
        raise RegistryError(f"unknown attention '{name}'; {did_you_mean(name, kinds)}")
    return kinds[name]


def _chosen(chosen: KindFilter, kinds: Sequence[AttentionKind]) -> list[AttentionKind]:
    return [kind for kind in kinds if chosen.takes(kind) and chosen.affords(*SHALLOW.cost(kind))]


def _facts(kind: AttentionKind) -> dict[str, Any]:
    """The description of a kind as plain values, for printing."""
    costs = {
        str(site): dict(zip(("parameters", "macs"), site.cost(kind), strict=True)) for site in (SHALLOW, DEEP)
    }
    return {
        "name": kind.name,
        "title": kind.title,
        "paper": kind.paper,
        "family": str(kind.family),
        "stages": [str(stage) for stage in kind.stages],
        "options": [{**asdict(option), "allowed": str(option.allowed)} for option in kind.all_options],
        "costs": costs,
    }


def _print_all(console: Console, chosen: KindFilter, kinds: tuple[AttentionKind, ...]) -> None:
    table = _table("kind", "what and whose", "where", "options", ">parameters", ">MACs")
    for kind in _chosen(chosen, kinds):
        parameters, macs = SHALLOW.cost(kind)
        options = "\n".join(f"{option.name}={_text(option.default)}" for option in kind.options)
        whose = f"{kind.title}\n{kind.paper}" if kind.paper else kind.title
        where = _places(kind) if len(kind.stages) != 3 else _places(kind).replace(" ", "\n")
        table.add_row(kind.name, whose, where, options or "-", f"{parameters:,}", _short(macs))
    if not table.row_count:
        console.print(f"None of the {len(kinds)} kinds matches.")
        return
    console.print(table)
    if table.row_count < len(kinds):
        console.print(f"{table.row_count} of {len(kinds)} kinds.")
    console.print(f"Options are shown with their defaults; every kind but none also has start={START.default}.")
    weights, macs = SHALLOW.convolution
    console.print(
        f"Costs are for one image at {SHALLOW}, with as many channels before the block, and 2 classes; for "
        f"the family temporal, for a clip of {FRAMES} such images."
    )
    console.print(
        f"A kind of the family convolution stands in for a plain one of {weights:,} parameters and {_short(macs)} "
        "MACs, which its network saves."
    )
    for line in _from_outside():
        console.print(line, soft_wrap=True)
    console.print(f"'{command('attentions', 'NAME')}' shows one kind in full.")


def _from_outside() -> list[str]:
    """One line for each kind of an installed package: where it comes from, or why it cannot be used."""
    broken = KINDS.broken()
    return [broken.get(name) or f"{name} comes from {origin}." for name, origin in sorted(KINDS.offered().items())]


def _print_one(console: Console, kind: AttentionKind, doc: str) -> None:
    console.print(f"{kind.name}: {kind.title}")
    if doc:
        console.print(f"\n{doc.partition('Args:')[0].strip()}")
    if origin := KINDS.origin(kind.name):
        console.print(f"\nComes from {origin}", soft_wrap=True)
    console.print(f"\nCan be placed at: {_places(kind)}")
    for note in _notes(kind):
        console.print(note)
    if kind.all_options:
        console.print("\nOptions")
        console.print(_options(kind.all_options))
    console.print(f"\nCost of {f'a clip of {FRAMES} images' if kind.needs_clip else 'one image'}")
    console.print(_costs(kind))
    console.print(f"\nIn a search space file\n{_example(kind)}")


def _notes(kind: AttentionKind) -> list[str]:
    notes = []
    if kind.family is Family.CONVOLUTION:
        notes.append(
            "Replaces the second 3x3 convolution of its block; with start=identity "
            "that convolution stays, and the network fades from it to this one."
        )
    if kind.family is Family.BLOCK:
        notes.append("Wraps its block: it changes both the block's input and its output.")
    if kind.needs_gate:
        notes.append("Needs a gating signal: the decoder feature that enters the level.")
    if kind.needs_clip:
        notes.append(
            "Needs clips: write frames into a space's network, and search --data clips, or a folder whose frames "
            "lie in images/train/CLIP/."
        )
    if kind.quadratic:
        notes.append(
            "Quadratic: its cost grows with (H*W)^2; a space's limits.max_positions keeps it to small maps."
        )
    if kind.starts_as_identity and kind.all_options:
        notes.append(
            "Its output equals its input at initialisation (up to rounding), so all values of start are the same."
        )
    elif not kind.neutral_start and kind.all_options:
        notes.append("Has no neutral start of its own: start=neutral and start=paper are the same.")
    return notes


def _options(options: tuple[Option, ...]) -> Table:
    table = _table("option", "default", "allowed", "what it does")
    for option in options:
        table.add_row(option.name, _text(option.default), option.allowed, option.about)
    return table


def _costs(kind: AttentionKind) -> Table:
    table = _table("site", ">parameters", ">MACs")
    for site in (SHALLOW, DEEP):
        parameters, macs = site.cost(kind)
        table.add_row(str(site), f"{parameters:,}", f"{macs:,}")
    if kind.family is Family.CONVOLUTION:
        for site in (SHALLOW, DEEP):
            parameters, macs = site.convolution
            table.add_row(f"the plain one, {site}", f"{parameters:,}", f"{macs:,}")
    return table


def _example(kind: AttentionKind) -> str:
    """Lines of a space file that offer the kind, with an option that is not at its default if it has one."""
    stage = Stage.SKIP if Stage.SKIP in kind.stages else kind.stages[0]
    choices = ["none"] if kind.name == "none" else ["none", kind.name]
    if kind.options:
        option = kind.options[0]
        choices.append(f"{{kind: {kind.name}, {option.name}: {_text(_other_value(option))}}}")
    return f"  choices:\n    {stage}: [{', '.join(choices)}]"


def _other_value(option: Option) -> OptionValue:
    if option.choices:
        return next(choice for choice in option.choices if choice != option.default)
    if isinstance(option.default, bool):
        return not option.default
    if not isinstance(option.default, int):
        return option.default
    half = option.default // 2
    return half if option.problem(half) is None else 2 * option.default


def _places(kind: AttentionKind) -> str:
    return "anywhere" if set(kind.stages) == set(Stage) else ", ".join(map(str, kind.stages))


def _text(value: OptionValue) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _short(count: int) -> str:
    """A count with three digits and a prefix, such as 1.23 G."""
    for size, prefix in ((10**9, "G"), (10**6, "M"), (10**3, "k")):
        if count >= size:
            return f"{count / size:.3g} {prefix}"
    return str(count)


def _table(*columns: str) -> Table:
    """An empty table; columns whose name starts with ``>`` are aligned right."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    for column in columns:
        right = column.startswith(">")
        table.add_column(column.lstrip(">"), justify="right" if right else "left", no_wrap=right)
    return table
