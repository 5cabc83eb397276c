"""Smallest gain that a search can detect, and number of trials that a gain takes, from the noise of a paired
difference."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

from nas_attn.analysis.noise import Noise
from nas_attn.analysis.power import POWER, fewest, power_beyond
from nas_attn.analysis.quantiles import simultaneous_quantile

FRESH_SEEDS, FINALISTS = 5, 9
"""Fresh seeds and finalists of a default search's finals. The smallest gain that these can show is the default
for the smallest gain that matters."""
REFERENCES, _LEAST_WITH_REFERENCES = 2, 24
"""Number of reference architectures that run with common seeds, and the fewest trials of a search that has such
runs."""
FINALS_SHARE = 0.25
"""Share of the trials of a default search that the finals get."""
_STEP = 0.001
_UNKNOWN_WORTH = 0.01
_MOST_TRIALS = 1_000_000


def n_places(n_trials: int) -> int:
    """Number of placements, plain U-Net included, that this many trials can run with ``FRESH_SEEDS`` seeds."""
    return max(2, min(FINALISTS + 1, round(n_trials / FRESH_SEEDS)))


@dataclass(frozen=True)
class FinalsSize:
    """Size of a search's finals, which compare its best placements and the baseline with the same fresh seeds.

    Args:
        finalists: m, placements with attention.
        seeds: n, for each; need not be whole, because the last seed is started but not always finished.
        references: reference architectures that share intervals and noise with the finalists, because they ran
            with three common seeds.
    """

    finalists: int
    seeds: float
    references: int = 0

    @classmethod
    def of(cls, n_trials: int, share: float) -> FinalsSize:
        """The finals as a search plans them.

        Args:
            n_trials: of the whole search.
            share: share of the trials that the finals get, above 0.
        """
        n_runs = max(4, round(share * n_trials))
        places = n_places(n_runs)
        return cls(places - 1, n_runs / places, REFERENCES if n_trials >= _LEAST_WITH_REFERENCES else 0)

    def gain_shown(self, noise: float, confidence: float) -> float:
        """The smallest true gain of a finalist that the finals detect with a power of ``POWER``, in units of IoU.

        Its interval is simultaneous with those of the other finalists and references. It uses Dunnett's quantile q
        with the degrees of freedom of them all, m (n - 1) and two for each reference. With the noise sigma of a
        paired difference, its mean difference varies by sigma / sqrt(n)::

            gain = (q + z(POWER)) sigma / sqrt(n)

        Args:
            noise: sigma, in units of IoU.
            confidence: of the intervals.
        """
        return (self._quantile(confidence) + NormalDist().inv_cdf(POWER)) * noise / math.sqrt(self.seeds)

    def detection_rate(self, gain: float, noise: float, confidence: float) -> float:
        """Probability that the finals detect a finalist with a true gain.

        Args:
            gain: in units of IoU.
            noise: of a paired difference, above 0, in units of IoU.
            confidence: of the intervals.
        """
        return power_beyond(self._quantile(confidence), gain * math.sqrt(self.seeds) / noise, self._freedom)

    def _quantile(self, confidence: float) -> float:
        return simultaneous_quantile(confidence, self._freedom, self.finalists + self.references, 0.5)

    @property
    def _freedom(self) -> float:
        return max(1.0, self.finalists * (self.seeds - 1) + 2 * self.references)


@dataclass(frozen=True)
class Sight:
    """Gains that the finals of a search can detect, if the noise is as measured.

    Args:
        noise: of a paired difference, in units of IoU.
        n_trials: of the search.
        share: share of the trials that the finals get.
        confidence: of the intervals.
    """

    noise: float
    n_trials: int
    share: float
    confidence: float

    @property
    def gain(self) -> float:
        """The smallest gain that four of five searches detect, in units of IoU."""
        return FinalsSize.of(self.n_trials, self.share).gain_shown(self.noise, self.confidence)

    def trials_for(self, gain: float) -> int | None:
        """Number of trials needed to detect a gain, rounded up to two digits; None if a million are not enough.

        Args:
            gain: above 0, in units of IoU.
        """
        needed = trials_needed(gain, self.noise, self.share, self.confidence)
        if needed is None:
            return None
        unit = int(10 ** max(0, len(str(needed)) - 2))
        return math.ceil(needed / unit) * unit


def trials_needed(gain: float, noise: float, share: float, confidence: float) -> int | None:
    """The fewest trials whose finals detect a gain; None if a million are not enough.

    Args:
        gain: above 0, in units of IoU.
        noise: of a paired difference, in units of IoU.
        share: share of the trials that the finals get.
        confidence: of the intervals.
    """
    return fewest(lambda trials: FinalsSize.of(trials, share).gain_shown(noise, confidence) <= gain, _MOST_TRIALS)


def default_worth(noise: Noise, confidence: float = 0.95) -> float:
    """The gain that a default search detects in four of five studies, rounded up to a tenth of a point.

    A placement must gain this much to be distinguished from the baseline among nine finalists with five fresh
    seeds each, at the noise of this study. One point if the noise is not known.

    Args:
        noise: of the study.
        confidence: of its intervals.
    """
    if noise.pair is None:
        return _UNKNOWN_WORTH
    return rounded_up(FinalsSize(FINALISTS, FRESH_SEEDS).gain_shown(noise.pair.sd, confidence))


def rounded_up(gain: float) -> float:
    """The gain rounded up to a tenth of a point, and at least that."""
    return max(_STEP, math.ceil(round(gain / _STEP, 6)) * _STEP)
