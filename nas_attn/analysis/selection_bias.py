"""Which scores of a placement may be reported: those that did not choose it."""

from __future__ import annotations

from collections.abc import Set

from nas_attn.analysis.additive import SeedScores

LEAST_SEEDS = 2
"""With fewer paired seeds a placement was tried, not tested: nothing is claimed of it."""


def reported_scores(scores: SeedScores, final: Set[int], plain: SeedScores | None = None) -> dict[int, float]:
    """The scores from which a placement's mean, its difference to the plain U-Net and their intervals come.

    A placement becomes a finalist because its screening score was high, and that score was high in part by luck: a
    mean that includes it is too high (with 200 placements and seed noise of twice their spread the best screening
    score is 2.5 IoU points too high). So of a finalist only the runs of the finals are reported, whose seeds chose
    nothing. With fewer than two of these that the plain U-Net has, too, all scores are; so are all of what never
    was a finalist.

    Args:
        scores: seed to IoU of one placement, without collapsed runs.
        final: seeds of its runs as a finalist.
        plain: seed to IoU of the plain U-Net, likewise; None where it was not run.
    """
    fresh = {seed: score for seed, score in scores.items() if seed in final}
    paired = fresh if plain is None else fresh.keys() & plain.keys()
    return fresh if len(paired) >= LEAST_SEEDS else dict(scores)
