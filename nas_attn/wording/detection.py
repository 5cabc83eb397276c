"""What a search can see, in a sentence."""

from __future__ import annotations

from nas_attn.analysis.detection import Sight, rounded_up
from nas_attn.wording.numbers import duration, size


def sight_sentence(
    sight: Sight, word: str, *, worth: float | None = None, each: float | None = None, workers: int = 1
) -> str:
    """The gain that so many trials tell from none, and how many a smaller one would take.

    Args:
        sight: of the search.
        word: what the scores are called.
        worth: smallest gain that matters, in units of the score; half of what the search tells where left out.
        each: seconds that a trial takes; None leaves out how long they take.
        workers: trials at once.
    """
    shown = rounded_up(sight.gain)
    said = f"{sight.n_trials} trials of this length can tell a gain of {size(shown)} {word} points from none"
    smaller = rounded_up(shown / 2) if worth is None else worth
    needed = sight.trials_for(smaller)
    if smaller >= shown or needed is None or needed <= sight.n_trials:
        return f"{said}, in four of five searches."
    by = " of one worker" if workers == 1 else ""
    time = "" if each is None else f", {duration(needed * each / workers)}{by}"
    return f"{said}, in four of five searches; {size(smaller)} would take about {needed} trials{time}."
