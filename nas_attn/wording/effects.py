"""Effects, interactions and redundancies in sentences."""

from __future__ import annotations

from nas_attn.analysis.effects import LEAST_RUNS, Module, Redundancy, StudyEffects
from nas_attn.wording.numbers import bounds, counted, points, size
from nas_attn.wording.rankings import COLLAPSED, left_out_notes

MOST = 8


def effect_sentences(effects: StudyEffects, most: int = MOST) -> list[str]:
    """The strongest significant effects and pairs, and the redundancies, in words.

    Args:
        effects: of a study.
        most: number of each sort.
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
    return [*lines, *(_redundancy(one, effects.word) for one in effects.redundancies[:most])]


def effect_notes(effects: StudyEffects) -> tuple[str, ...]:
    """What the effects leave out, or why there are none, one sentence each."""
    notes = [*left_out_notes(effects.left_out)]
    if effects.n_complete < LEAST_RUNS:
        few = counted(effects.n_complete, "complete run")
        return (*notes, f"{few}: too few to estimate effects; at least {LEAST_RUNS} are needed.")
    if effects.n_collapsed:
        notes.append(f"{counted(effects.n_collapsed, 'collapsed run')} left out ({COLLAPSED}).")
    if effects.n_raised:
        notes.append(
            f"{counted(effects.n_raised, 'run')} far below the others of the same seed: each is counted as "
            f"{size(effects.most_below)} {effects.word} points below them, so that one failed training does not "
            "dominate an effect."
        )
    if any(effect.interval is None for effect in effects.effects):
        few = counted(len(effects.effects), "effect")
        notes.append(f"Intervals are not known: {few} are too few to estimate how much effects differ.")
    if effects.n_complete - effects.n_collapsed > effects.n_runs:
        notes.append(f"Of {effects.n_complete} runs {effects.n_runs} were used.")
    return tuple(notes)


def _redundancy(redundancy: Redundancy, word: str) -> str:
    """``se at decoder.1 adds nothing beside scse at decoder.2: ...``."""
    return (
        f"{_named(redundancy.module)} adds nothing beside {_named(redundancy.beside)}: "
        f"{points(redundancy.together)} {word} points ({bounds(redundancy.interval)}) there, "
        f"{points(redundancy.alone)} without."
    )


def _named(module: Module) -> str:
    return f"{module[1]} at {module[0]}"
