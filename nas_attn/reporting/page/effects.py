"""What each attention adds at each place."""

from __future__ import annotations

from nas_attn.analysis.effects import Effect, StudyEffects
from nas_attn.metric import capitalised
from nas_attn.reporting.page.chart import Chart, Table
from nas_attn.reporting.page.heat_map import DIVERGING, heat_map
from nas_attn.wording.numbers import bounds, counted, points


def effects_chart(effects: StudyEffects) -> Chart:
    """A cell for each attention at each location, in points of the study's metric; there is at least one."""
    cells = {(effect.location, effect.attention): effect for effect in effects.effects}
    return Chart(
        name="effects",
        title="What matters where",
        caption=(
            f"{capitalised(effects.word)} points that an attention adds at a place, compared with none there and "
            f"averaged over what may stand elsewhere. A star says that the {effects.confidence:.0%} interval "
            "excludes 0; all others are faded. From "
            f"{counted(effects.n_runs, 'run')} of {counted(effects.n_placements, 'placement')}."
        ),
        figure=heat_map(
            {cell: 100 * effect.mean for cell, effect in cells.items()},
            {cell: _points(effect) for cell, effect in cells.items()},
            {cell: _tell_effect(effect, effects.word) for cell, effect in cells.items()},
            scale=DIVERGING,
            bar=f"{effects.word} points",
            middle=0.0,
            faint={cell for cell, effect in cells.items() if not effect.is_sure},
        ),
        table=Table.of(
            ("place", "attention", f"{effects.word} points", "interval", "placements"),
            [
                (
                    str(effect.location),
                    str(effect.attention),
                    _points(effect),
                    bounds(effect.interval),
                    str(effect.n_placements),
                )
                for effect in effects.effects
            ],
            most=400,
        ),
    )


def _points(effect: Effect) -> str:
    return points(effect.mean) + ("*" if effect.is_sure else "")


def _tell_effect(effect: Effect, word: str) -> str:
    return (
        f"<b>{effect.attention} at {effect.location}</b><br>{points(effect.mean)} {word} points "
        f"({bounds(effect.interval)})<br>tried in {counted(effect.n_placements, 'placement')}"
    )
