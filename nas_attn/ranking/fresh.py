"""Which scores of a placement may be reported: those that did not choose it."""

from __future__ import annotations

from collections.abc import Sequence, Set

from nas_attn.ranking.additive import SeedScores

MIN_FRESH_SEEDS = 2


def screening_seeds(table: Sequence[SeedScores]) -> frozenset[int]:
    """The seeds under which placements were screened: those of the placements that were given no further ones.

    Empty where all have several seeds: then none was chosen for its score under one of them.

    Args:
        table: seed to IoU for each placement.
    """
    return frozenset(seed for scores in table if len(scores) == 1 for seed in scores)


def reported_scores(scores: SeedScores, screening: Set[int], plain: SeedScores | None = None) -> dict[int, float]:
    """The scores from which a placement's mean, its difference to the plain U-Net and their intervals come.

    A placement gets further seeds because its screening score was high, and that score was high in part by
    luck: a mean that includes it is too high (with 200 placements and seed noise of twice their spread the best
    screening score is 2.5 IoU points too high). What an attention brings under one seed, it brings to other
    placements under that seed, too: so not only the score that chose a placement is left out, but all of the
    seeds with which any was screened. With at least two other seeds only those are reported: they had no say in
    the choice. With fewer, all scores are; so too while the plain U-Net has not yet been run with two of the
    further seeds, since its difference to them could not be told.

    Args:
        scores: seed to IoU of one placement, the first run first.
        screening: the screening seeds; empty where nothing was chosen.
        plain: seed to IoU of the plain U-Net; None where it was not run.
    """
    chose = {*screening, *list(scores)[:1]} if screening else set()
    fresh = {seed: score for seed, score in scores.items() if seed not in chose}
    paired = fresh if plain is None else fresh.keys() & plain.keys()
    return fresh if len(paired) >= MIN_FRESH_SEEDS else dict(scores)
