"""A synthetic task that answers at once: for testing a search, not for finding an architecture."""

from __future__ import annotations

import hashlib
import itertools
import math
import time
from dataclasses import dataclass
from statistics import NormalDist, fmean

from nas_attn.budget import Budget
from nas_attn.errors import DivergedError, SpaceError
from nas_attn.models.placement import NONE, AttentionSpec, Location, Placement, Site
from nas_attn.record import Cost, CurvePoint, Outcome, Score
from nas_attn.space import SearchSpace

HALF_LIFE_STEPS = 300
"""Steps after which the distance of a run to convergence has halved."""


@dataclass(frozen=True)
class LookupEvaluator:
    """(placement, budget, seed) -> Outcome, computed from hashes: equal everywhere, in about a millisecond.

    With e, g, l and s drawn once per task, z and w standard normal::

        iou(placement, steps, seed) = truth(placement) - shortfall(placement) * 2^(-steps / 300)
                                      + seed_noise * z(seed) + run_noise * w(seed, placement)
                                      + sum of l(seed, location, attention)
        truth(placement)            = base + sum of e(location, attention)
                                      + sum over pairs of locations of g(location, attention, location, attention)
        shortfall(placement)        = gap * (1 + sum of s(location, attention))

    Sums run over the locations with attention, so the baseline has the truth ``base``. A slow attention (s above
    0) looks worse in short runs than it is. The term l is the luck of an attention with a seed: every placement
    with this attention gains it when it is run with this seed. Effects common to a seed cancel in paired
    differences; by default these have 0.36 times the variance of unpaired ones.

    If a run starts from a trained baseline, the baseline's steps count as its own. Such a run has its own draws of
    z, w and l and adds, with d drawn once per task::

        2^(-steps / 300) * sum of d(location, attention)

    Args:
        space: gives the network's locations and sites; every placement of that network can be looked up.
        seed: of the task.
        base: converged IoU of the baseline.
        spread: standard deviation of the truth over placements with attention everywhere.
        interaction_share: share of that variance that comes from the pairs, at least 0 and below 1.
        seed_noise: standard deviation of the noise that a seed adds to every placement.
        run_noise: standard deviation of the noise that a seed adds to one placement.
        luck: standard deviation of the sum of l for a placement with attention everywhere.
        disturbance: standard deviation of the sum of d for a placement with attention everywhere: the effect of
            putting attentions into a trained baseline.
        quiet: factor on the noise and luck of a run that starts from trained weights.
        gap: distance of the baseline to convergence at step 0.
        failure_share: share of the placements that always diverge; the baseline never does.
        seconds: duration of an evaluation; it sleeps.
    """

    space: SearchSpace
    seed: int = 0
    base: float = 0.65
    spread: float = 0.02
    interaction_share: float = 0.3
    seed_noise: float = 0.008
    run_noise: float = 0.006
    luck: float = 0.0
    disturbance: float = 0.0
    quiet: float = 1.0
    gap: float = 0.3
    failure_share: float = 0.0
    seconds: float = 0.0

    def __call__(self, placement: Placement, budget: Budget, seed: int) -> Outcome:
        """Look an evaluation up; only the steps of the budget matter.

        Raises:
            SpaceError: the placement is for another network.
            DivergedError: the placement is one that always fails.
        """
        self._check(placement)
        time.sleep(self.seconds)
        if placement.attended and self._uniform("failure", placement) < self.failure_share:
            raise DivergedError(f"the loss of placement {placement.id} became nan at step {budget.steps // 2}")
        steps = [budget.steps * quarter // 4 for quarter in range(1, 5)]
        trained = budget.steps + budget.pretraining
        iou = self.truth(placement) - self._shortfall(placement, trained) + self._noise(placement, budget, seed)
        curve = tuple(CurvePoint(step, 0.2 + self._shortfall(placement, step)) for step in steps)
        score = _score(iou, self.space.network.classes, curve[-1].loss)
        return Outcome(score, self.cost(placement), curve, self.seconds)

    def truth(self, placement: Placement) -> float:
        """The IoU of a converged run without noise."""
        n_locations = len(self.space.choices)
        effect_sd = self.spread * math.sqrt((1 - self.interaction_share) / n_locations)
        n_pairs = max(1, n_locations * (n_locations - 1) / 2)
        pair_sd = self.spread * math.sqrt(self.interaction_share / n_pairs)
        effects = (self._normal("effect", *pair) for pair in placement.attended)
        pairs = (
            self._normal("pair", *one, *other) for one, other in itertools.combinations(placement.attended, 2)
        )
        return self.base + effect_sd * math.fsum(effects) + pair_sd * math.fsum(pairs)

    def cost(self, placement: Placement) -> Cost:
        """The cost of a placement: the sum over all locations of the baseline's cost and the attention's."""
        costs = [self._cost_at(site, placement[site.location]) for site in self.space.sites]
        parameters, macs = (sum(column) for column in zip(*costs, strict=True))
        return Cost(parameters, macs, latency_ms=macs / 1e8, peak_memory_mib=macs / 1e5, device="lookup")

    def _cost_at(self, site: Site, spec: AttentionSpec) -> tuple[int, int]:
        """Parameters and MACs of a site: two 3x3 convolutions, and an attention that costs 1/32 to 1/2 of them."""
        parameters = 18 * site.channels**2
        share = 0.0 if spec == NONE else 2 ** (-1 - 4 * self._uniform("cost", site.location, spec))
        return parameters + int(parameters * share), int(parameters * site.positions * (1 + share))

    def _shortfall(self, placement: Placement, steps: int) -> float:
        slowness = 0.1 * math.fsum(self._uniform("slowness", *pair) for pair in placement.attended)
        return float(self.gap * (1 + slowness) * 2 ** (-steps / HALF_LIFE_STEPS))

    def _noise(self, placement: Placement, budget: Budget, seed: int) -> float:
        which = (seed, "from plain", budget.steps) if budget.pretraining else (seed,)
        common, own = self._normal("seed", *which), self._normal("run", *which, placement)
        noise = self.seed_noise * common + self.run_noise * own + self._sum("luck", self.luck, placement, *which)
        if not budget.pretraining:
            return noise
        healed = 2 ** (-budget.steps / HALF_LIFE_STEPS)
        return self.quiet * noise + healed * self._sum("disturbance", self.disturbance, placement)

    def _sum(self, name: str, sd: float, placement: Placement, *which: str | int) -> float:
        """Sum of one independent normal draw per attention; its deviation is ``sd`` with attention everywhere."""
        if not sd:
            return 0.0
        parts = (self._normal(name, *which, *pair) for pair in placement.attended)
        return sd / math.sqrt(len(self.space.choices)) * math.fsum(parts)

    def _check(self, placement: Placement) -> None:
        """Reference architectures need not be in the space, but they must fit its network."""
        given, wanted = list(placement.to_dict()), [str(location) for location, _ in self.space.choices]
        if given != wanted:
            raise SpaceError(f"placement {placement.id} is for the locations {given}; the network has {wanted}")

    def _normal(self, *what: str | int | Location | AttentionSpec | Placement) -> float:
        return NormalDist().inv_cdf(self._uniform(*what))

    def _uniform(self, *what: str | int | Location | AttentionSpec | Placement) -> float:
        """A uniform number in (0, 1); a function of the task's seed and the arguments."""
        text = "|".join(map(str, (self.seed, *what)))
        digest = hashlib.sha256(text.encode()).digest()
        return (int.from_bytes(digest[:6], "big") + 0.5) / 2**48


def _score(iou: float, classes: int, loss: float) -> Score:
    """A score whose classes are one point apart around their mean, clipped to 0 and 1."""
    offsets = (0.01 * (index - (classes - 1) / 2) for index in range(classes))
    per_class = tuple(min(max(iou + offset, 0.0), 1.0) for offset in offsets)
    return Score(fmean(per_class), per_class, loss)
