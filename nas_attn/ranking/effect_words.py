"""Effects, pairs and redundancies in sentences."""

from __future__ import annotations

from nas_attn.ranking.describe import bounds, points
from nas_attn.ranking.effects import StudyEffects

MOST = 8


def effect_sentences(effects: StudyEffects, most: int = MOST) -> list[str]:
    """The strongest effects and pairs that are sure, and the redundancies, in words.

    Args:
        effects: of a study.
        most: of each sort.
    """
    sure = sorted((effect for effect in effects.effects if effect.is_sure), key=lambda effect: -abs(effect.mean))
    lines = [
        f"{effect.attention} at {effect.location}: {points(effect.mean)} ({bounds(effect.interval)}), tried in "
        f"{effect.n_placements} placements."
        for effect in sure[:most]
    ]
    if not sure:
        lines.append("No effect is distinguishable from 0.")
    lines += [
        f"{pair.one[1]} at {pair.one[0]} with {pair.other[1]} at {pair.other[0]}: {points(pair.mean)} "
        f"({bounds(pair.interval)}) beyond the sum of both."
        for pair in effects.interactions[:most]
    ]
    return [*lines, *(redundancy.text for redundancy in effects.redundancies[:most])]
