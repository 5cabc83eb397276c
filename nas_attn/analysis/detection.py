"""How small a gain a search can tell from none, and how many trials a gain takes, by the noise of a paired
difference."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

from nas_attn.analysis.noise import Noise
from nas_attn.analysis.power import POWER, fewest, power_beyond
from nas_attn.analysis.quantiles import simultaneous_quantile

FRESH_SEEDS, FINALISTS = 5, 9
"""Of a default search's finals: what they can show is the smallest gain that is asked for by default."""
REFERENCES, _LEAST_WITH_REFERENCES = 2, 24
"""Reference architectures that run with common seeds, and the fewest trials of a search that has such runs."""
FINALS_SHARE = 0.25
"""Of the trials of a default search."""
_STEP = 0.001
_UNKNOWN_WORTH = 0.01
_MOST_TRIALS = 1_000_000


def n_places(n_trials: int) -> int:
    """How many placements so many trials can run with ``FRESH_SEEDS`` seeds, the plain U-Net among them."""
    return max(2, min(FINALISTS + 1, round(n_trials / FRESH_SEEDS)))


@dataclass(frozen=True)
class FinalsSize:
    """What a search's finals compare: its best placements and the baseline, with the same fresh seeds.

    Args:
        finalists: m, placements with attention.
        seeds: n, of each; need not be whole, since the last seed is begun and not always ended.
        references: placements that share intervals and noise with them, since they ran with three common seeds.
    """

    finalists: int
    seeds: float
    references: int = 0

    @classmethod
    def of(cls, n_trials: int, share: float) -> FinalsSize:
        """As a search lays them out.

        Args:
            n_trials: of the whole search.
            share: of them that the finals get, above 0.
        """
        n_runs = max(4, round(share * n_trials))
        places = n_places(n_runs)
        return cls(places - 1, n_runs / places, REFERENCES if n_trials >= _LEAST_WITH_REFERENCES else 0)

    def gain_shown(self, noise: float, confidence: float) -> float:
        """The smallest true gain of a finalist that is told from none, in units of IoU.

        Its interval holds together with those of the other finalists and references, by Dunnett's quantile q with
        the degrees of freedom of them all, m (n - 1) and two for each reference. With the noise sigma of a paired
        difference its mean difference varies by sigma / sqrt(n)::

            gain = (q + z(POWER)) sigma / sqrt(n)

        Args:
            noise: sigma, in units of IoU.
            confidence: of the intervals.
        """
        return (self._quantile(confidence) + NormalDist().inv_cdf(POWER)) * noise / math.sqrt(self.seeds)

    def detection_rate(self, gain: float, noise: float, confidence: float) -> float:
        """How often a finalist with a true gain is told from none.

        Args:
            gain: in units of IoU.
            noise: of a paired difference, above 0, likewise.
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
    """What a search can see: the gains that its finals tell from none, were the noise as measured.

    Args:
        noise: of a paired difference, in units of IoU.
        n_trials: of the search.
        share: of them that the finals get.
        confidence: of the intervals.
    """

    noise: float
    n_trials: int
    share: float
    confidence: float

    @property
    def gain(self) -> float:
        """The smallest one, told in four of five searches, in units of IoU."""
        return FinalsSize.of(self.n_trials, self.share).gain_shown(self.noise, self.confidence)

    def trials_for(self, gain: float) -> int | None:
        """How many trials it takes to tell a gain from none, in two digits; None where a million do not.

        Args:
            gain: above 0, in units of IoU.
        """
        needed = trials_needed(gain, self.noise, self.share, self.confidence)
        if needed is None:
            return None
        unit = int(10 ** max(0, len(str(needed)) - 2))
        return math.ceil(needed / unit) * unit


def trials_needed(gain: float, noise: float, share: float, confidence: float) -> int | None:
    """The fewest trials of which the finals tell a gain from none; None where a million do not.

    Args:
        gain: above 0, in units of IoU.
        noise: of a paired difference, likewise.
        share: of the trials that the finals get.
        confidence: of the intervals.
    """
    return fewest(lambda trials: FinalsSize.of(trials, share).gain_shown(noise, confidence) <= gain, _MOST_TRIALS)


def default_worth(noise: Noise, confidence: float = 0.95) -> float:
    """The gain that a default search can show in four of five studies, rounded up to a tenth of a point.

    That is what a placement has to gain to be told from the baseline among nine finalists with five fresh seeds
    each, at the noise of this study; one point where that is not known.

    Args:
        noise: of the study.
        confidence: of its intervals.
    """
    if noise.pair is None:
        return _UNKNOWN_WORTH
    return rounded_up(FinalsSize(FINALISTS, FRESH_SEEDS).gain_shown(noise.pair.sd, confidence))


def rounded_up(gain: float) -> float:
    """To a tenth of a point, which is the least."""
    return max(_STEP, math.ceil(round(gain / _STEP, 6)) * _STEP)
