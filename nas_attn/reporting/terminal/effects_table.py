"""Effects as a table for the terminal: one row for each location, one column for each attention."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.table import Table
from rich.text import Text

from nas_attn.analysis.effects import Effect, StudyEffects
from nas_attn.models.placement import AttentionSpec
from nas_attn.reporting.terminal.tables import add_numbers, slim_table
from nas_attn.wording.effects import effect_notes, effect_sentences
from nas_attn.wording.numbers import points

_MOST_COLUMNS = 8


def effects_table(effects: StudyEffects) -> RenderableType:
    """The effects, the significant ones in words, the pairs that matter, and redundancies."""
    notes = [Text(note, style="dim") for note in effect_notes(effects)]
    if not effects.effects:
        return Group(*notes)
    return Group(
        Text(f"What each attention adds at each location, in {effects.word} points:", style="bold"),
        _Blocks(effects.effects),
        *(Text(line) for line in effect_sentences(effects)),
        Text(
            f"*  its {effects.confidence:.0%} interval excludes 0. Compared with none there, averaged over "
            f"the attentions at the other locations; from {effects.n_runs} runs of {effects.n_placements} "
            "placements.",
            style="dim",
        ),
        *notes,
    )


@dataclass(frozen=True)
class _Blocks:
    """Tables below one another, each with as many attentions as fit."""

    effects: Sequence[Effect]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        attentions = sorted({effect.attention for effect in self.effects}, key=str)
        columns = self._columns(console, options, attentions)
        for start in range(0, len(attentions), columns):
            block = attentions[start : start + columns]
            yield _table([effect for effect in self.effects if effect.attention in block])

    def _columns(self, console: Console, options: ConsoleOptions, attentions: Sequence[AttentionSpec]) -> int:
        """The number of attentions that fit side by side, whichever they are; at least one."""
        endless = options.update(max_width=10**6)
        alone = [_table([one for one in self.effects if one.attention == shown]) for shown in attentions]
        widest = max(console.measure(table, options=endless).maximum for table in alone)
        places = max(len(str(effect.location)) for effect in self.effects)
        places = max(places, len("location"))
        return max(1, min(_MOST_COLUMNS, (options.max_width - places) // (widest - places)))


def _table(effects: Sequence[Effect]) -> Table:
    table = slim_table()
    table.add_column("location", no_wrap=True)
    attentions = sorted({effect.attention for effect in effects}, key=str)
    add_numbers(table, *map(str, attentions))
    cells = {(effect.location, effect.attention): _cell(effect) for effect in effects}
    for location in sorted({effect.location for effect in effects}):
        table.add_row(str(location), *(cells.get((location, attention), Text("-")) for attention in attentions))
    return table


def _cell(effect: Effect) -> Text:
    """The effect with half the width of its interval, if that is known."""
    interval = effect.interval
    half = "" if interval is None else f" ±{50 * (interval.high - interval.low):.1f}"
    style = "" if not effect.is_sure else "green" if effect.mean > 0 else "red"
    return Text(f"{points(effect.mean)}{'*' if effect.is_sure else ''}{half}", style=style)
