"""Effects as a table for the terminal: a row for each location, a column for each attention."""

from __future__ import annotations

from collections.abc import Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from nas_attn.analysis.effects import Effect, StudyEffects
from nas_attn.wording.effects import effect_notes, effect_sentences
from nas_attn.wording.numbers import points

_COLUMNS = 8


def effects_table(effects: StudyEffects) -> RenderableType:
    """The effects, what is sure about them, the pairs that matter, and what is redundant.

    Args:
        effects: of a study.
    """
    notes = [Text(note, style="dim") for note in effect_notes(effects)]
    if not effects.effects:
        return Group(*notes)
    attentions = list(dict.fromkeys(effect.attention for effect in effects.effects))
    attentions.sort(key=str)
    blocks = [attentions[start : start + _COLUMNS] for start in range(0, len(attentions), _COLUMNS)]
    return Group(
        Text(f"What each attention adds at each location, in {effects.word} points:", style="bold"),
        *(_table([effect for effect in effects.effects if effect.attention in block]) for block in blocks),
        *(Text(line) for line in effect_sentences(effects)),
        Text(
            f"*  its {effects.confidence:.0%} interval excludes 0. Compared with none there, averaged over "
            f"what may stand at the others; from {effects.n_runs} runs of {effects.n_placements} placements.",
            style="dim",
        ),
        *notes,
    )


def _table(effects: Sequence[Effect]) -> Table:
    table = Table(box=SIMPLE_HEAD, padding=(0, 1), pad_edge=False, collapse_padding=True, show_edge=False)
    table.add_column("location", no_wrap=True)
    attentions = sorted({effect.attention for effect in effects}, key=str)
    for attention in attentions:
        table.add_column(str(attention), justify="right", no_wrap=True)
    cells = {(effect.location, effect.attention): _cell(effect) for effect in effects}
    for location in sorted({effect.location for effect in effects}):
        table.add_row(str(location), *(cells.get((location, attention), Text("-")) for attention in attentions))
    return table


def _cell(effect: Effect) -> Text:
    """The effect with half the width of its interval."""
    half = 50 * (effect.interval.high - effect.interval.low)
    style = "" if not effect.is_sure else "green" if effect.mean > 0 else "red"
    return Text(f"{points(effect.mean)}{'*' if effect.is_sure else ''} ±{half:.1f}", style=style)
