"""List the attention kinds with their papers, options and costs, or show one of them in full.

nas-attn attentions         every kind
nas-attn attentions cbam    each option of cbam, what it costs, and how a search space names it
"""

from __future__ import annotations

import argparse
import inspect
import shutil
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nas_attn.kind import START, AttentionKind, Option
from nas_attn.placement import OptionValue, Stage

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

PIPE_WIDTH = 120


@dataclass(frozen=True)
class Example:
    """A site at which costs are shown.

    Args:
        channels: C of the feature map; the gating signal has twice as many at half the side.
        side: H and W of the feature map.
    """

    channels: int
    side: int

    def __str__(self) -> str:
        return f"C={self.channels} on {self.side}x{self.side}"


SHALLOW, DEEP = Example(64, 64), Example(256, 16)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``nas-attn attentions``."""
    parser.add_argument("name", nargs="?", metavar="NAME", help="a kind, such as cbam; all of them where left out")


def run(arguments: argparse.Namespace) -> int:
    """Print the kinds, or one of them."""
    from nas_attn.attention import KINDS, catalogue

    if arguments.name is None:
        _print_all(_console(), tuple(catalogue().values()))
    else:
        entry = KINDS[arguments.name]
        _print_one(_console(), entry.kind, inspect.getdoc(entry.module) or "")
    return 0


def _print_all(console: Console, kinds: tuple[AttentionKind, ...]) -> None:
    table = _table("kind", "what and whose", "where", "options", ">parameters", ">MACs")
    for kind in kinds:
        parameters, macs = _cost(kind, SHALLOW)
        options = "\n".join(f"{option.name}={_text(option.default)}" for option in kind.options)
        whose = f"{kind.title}\n{kind.paper}" if kind.paper else kind.title
        table.add_row(kind.name, whose, _places(kind), options or "-", f"{parameters:,}", _short(macs))
    console.print(table)
    console.print(f"Options are shown with their defaults; every kind but none also has start={START.default}.")
    console.print(f"Costs are those of one image at {SHALLOW}.")
    console.print("'nas-attn attentions NAME' shows one kind in full.")


def _print_one(console: Console, kind: AttentionKind, doc: str) -> None:
    console.print(f"{kind.name}: {kind.title}")
    if doc:
        console.print(f"\n{doc.partition('Args:')[0].strip()}")
    console.print(f"\nMay stand at: {_places(kind)}")
    for note in _notes(kind):
        console.print(note)
    if kind.all_options:
        console.print("\nOptions")
        console.print(_options(kind.all_options))
    console.print("\nCost of one image")
    console.print(_costs(kind))
    console.print(f"\nIn a search space file\n{_example(kind)}")


def _notes(kind: AttentionKind) -> list[str]:
    notes = []
    if kind.needs_gate:
        notes.append("Needs a gating signal: the decoder feature that enters the level.")
    if kind.quadratic:
        notes.append(
            "Quadratic: its cost grows with (H*W)^2; a space's limits.max_positions keeps it to small maps."
        )
    if kind.starts_as_identity and kind.all_options:
        notes.append("Starts as an exact identity in any case: start=paper and start=identity are the same.")
    return notes


def _options(options: tuple[Option, ...]) -> Table:
    table = _table("option", "default", "allowed", "what it does")
    for option in options:
        table.add_row(option.name, _text(option.default), option.allowed, option.about)
    return table


def _costs(kind: AttentionKind) -> Table:
    table = _table("site", ">parameters", ">MACs")
    for site in (SHALLOW, DEEP):
        parameters, macs = _cost(kind, site)
        table.add_row(str(site), f"{parameters:,}", f"{macs:,}")
    return table


def _cost(kind: AttentionKind, site: Example) -> tuple[int, int]:
    """Parameters and MACs of a kind with its defaults, for one image."""
    from nas_attn.attention import build_attention
    from nas_attn.measure import count_macs, count_parameters

    module = build_attention(kind.spec(), site.channels, gate_channels=2 * site.channels)
    shapes = [(1, site.channels, site.side, site.side)]
    if kind.needs_gate:
        shapes.append((1, 2 * site.channels, site.side // 2, site.side // 2))
    return count_parameters(module), count_macs(module, *shapes)


def _example(kind: AttentionKind) -> str:
    """Lines of a space file that offer the kind, with an option other than its default where it has some."""
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
    return option.default // 2 if isinstance(option.default, int) else option.default


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
    """An empty table; a column whose name starts with ``>`` is set flush right."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    for column in columns:
        right = column.startswith(">")
        table.add_column(column.lstrip(">"), justify="right" if right else "left", no_wrap=right)
    return table


def _console() -> Console:
    from rich.console import Console

    terminal = shutil.get_terminal_size().columns
    width = terminal if sys.stdout.isatty() else max(PIPE_WIDTH, terminal)
    return Console(width=width, highlight=False, markup=False, emoji=False)
