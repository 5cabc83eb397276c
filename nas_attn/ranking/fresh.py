"""Which scores of a placement may be reported: those that did not choose it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from nas_attn.ranking.additive import SeedScores

MIN_FRESH_SEEDS = 2


def screening_seed(table: Sequence[SeedScores]) -> int | None:
    """The seed under which the placements were screened: the one that more placements have than any other.

    None where two seeds are the most common: then no single seed can have chosen who gets further ones.
    """
    common = Counter(seed for scores in table for seed in scores).most_common(2)
    if not common or (len(common) == 2 and common[0][1] == common[1][1]):
        return None
    return common[0][0]


def reported_scores(
    scores: SeedScores, screening: int | None, plain: SeedScores | None = None
) -> dict[int, float]:
    """The scores from which a placement's mean, its difference to the plain U-Net and their intervals come.

    A placement gets further seeds because its screening score was high, and that score was high in part by
    luck: a mean that includes it is too high (with 200 placements and seed noise of twice their spread the best
    screening score is 2.5 IoU points too high). So with at least two seeds besides the screening seed only those
    are reported: they had no say in the choice. With fewer, all scores are; so too while the plain U-Net has not
    yet been run with two of the further seeds, since its difference to them could not be told.

    Args:
        scores: seed to IoU of one placement.
        screening: the screening seed; None where there is none.
        plain: seed to IoU of the plain U-Net; None where it was not run.
    """
    fresh = {seed: score for seed, score in scores.items() if seed != screening}
    paired = fresh if plain is None else fresh.keys() & plain.keys()
    return fresh if len(paired) >= MIN_FRESH_SEEDS else dict(scores)
