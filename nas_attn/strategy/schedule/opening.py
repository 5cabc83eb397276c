"""What a study runs before its first proposal: first runs for the noise and the budget, then the reference
architectures."""

from __future__ import annotations

from collections.abc import Callable, Sequence, Set
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice, takewhile

from nas_attn.budget import Budget
from nas_attn.models.placement import Placement
from nas_attn.record import PROBE
from nas_attn.strategy.evaluation import Evaluation, run_key

N_COMPARED = 2
"""Number of reference architectures that run with the common seeds: the cheapest one, and the cheapest of another
kind."""
PROBED = {PROBE: True}
"""Memory of a run that measures whether a budget is long enough."""
_MOST_COMMON_SEEDS, _TRIALS_PER_COMMON_SEED = 2, 24
_MOST_DOUBLED_SEEDS, _TRIALS_PER_DOUBLED_SEED = 3, 40


@dataclass(frozen=True)
class Course:
    """What follows from the top budget.

    Args:
        ladder: budgets, the shortest first; the last one is ranked.
        n_probes: number of trials that found the top budget, without those of the opening.
        reference_runs: of the reference architectures with the first seed, in order; the first is the baseline at
            the top budget.
        compared: those at the top budget, in the order in which they are compared (``compared_references``).
        n_trials: of the study.
        settled: False if the budget was not doubled further although differences had not settled; None if the
            budget was given.
    """

    ladder: tuple[Budget, ...]
    n_probes: int
    reference_runs: tuple[Evaluation, ...]
    compared: tuple[Evaluation, ...]
    n_trials: int
    settled: bool | None = None

    @property
    def top(self) -> Budget:
        """The budget that is ranked."""
        return self.ladder[-1]

    @property
    def plain(self) -> Evaluation:
        """The baseline's run at the top budget with the first seed."""
        return self.reference_runs[0]

    @property
    def n_references(self) -> int:
        """Number of trials of reference architectures, including those that found the budget."""
        return self.n_probes + len(self.reference_runs)

    def references(self, failed: Set[Placement] = frozenset()) -> list[Evaluation]:
        """The ``N_COMPARED`` reference architectures that run with common seeds.

        Two cheap placements are enough, because noise is pooled over all placements. They are not selected by
        their scores, so these runs can also be reported.

        Args:
            failed: placements that others replace.
        """
        attended = (one for one in self.compared if one.placement.attended and one.placement not in failed)
        return list(islice(attended, N_COMPARED))

    def common(self, failed: Set[Placement] = frozenset()) -> list[Evaluation]:
        """The baseline and the compared reference architectures with further seeds, seed by seed. After them, the
        noise can be estimated.

        Args:
            failed: as in ``references``.
        """
        further = range(1, 1 + n_common_seeds(self.n_trials))
        compared = [self.plain, *self.references(failed)]
        return [replace(one, seed=one.seed + number) for number in further for one in compared]

    @cached_property
    def opening(self) -> tuple[Evaluation, ...]:
        """All evaluations before the first proposal, in order. The budget search may already have run some of
        them.

        First the baseline and two cheap reference architectures run with common seeds. They estimate the noise of
        a paired difference. Then the same run for twice the steps, which measures whether the budget is long
        enough. Then all other reference architectures run.
        """
        common = self.common()
        with_first_seed = self.references() if common else []
        at_top = [self.plain, *with_first_seed, *common]
        last = self.plain.seed + n_doubled_seeds(self.n_trials)
        doubled = [replace(one, budget=self._double, memory=PROBED) for one in at_top if one.seed < last]
        named = {run_key(one): one for one in self.reference_runs}
        ordered = [named.get(run_key(one), one) for one in (*at_top, *doubled)]
        return tuple({run_key(one): one for one in (*ordered, *self.reference_runs)}.values())

    @property
    def n_doubled(self) -> int:
        """Number of further trials that measure whether the budget is long enough."""
        known = {(one.placement, one.seed) for one in self.reference_runs if one.budget == self._double}
        doubled = [one for one in self.opening if one.budget == self._double]
        return sum((one.placement, one.seed) not in known for one in doubled)

    @property
    def for_noise(self) -> tuple[Evaluation, ...]:
        """The first evaluations, after which the noise of a paired difference can be estimated."""
        return tuple(takewhile(lambda one: one.budget != self._double, self.opening))

    @property
    def for_budget(self) -> tuple[Evaluation, ...]:
        """The evaluations after which it is known whether the budget is long enough."""
        longer = [number for number, one in enumerate(self.opening) if one.budget == self._double]
        return self.opening[: 1 + max(longer, default=-1)]

    @property
    def _double(self) -> Budget:
        return self.top.doubled


def compared_references(
    references: Sequence[Evaluation], top: Budget, cost: Callable[[Placement], float]
) -> tuple[Evaluation, ...]:
    """The reference architectures at the ranked budget, in the order in which they are compared: first the
    cheapest of each kind of attention, then the others, each group by cost.

    Two placements of one kind would say little about differences between placements.

    Args:
        references: of the study.
        top: the budget that is ranked.
        cost: of a placement.
    """
    found = [reference for reference in references if reference.budget == top]
    found.sort(key=lambda reference: (cost(reference.placement), reference.placement.id))
    first = {_kinds(reference.placement): reference.placement for reference in reversed(found)}
    return tuple(sorted(found, key=lambda reference: first[_kinds(reference.placement)] != reference.placement))


def n_common_seeds(n_trials: int) -> int:
    """Number of seeds beside the first: two, one in a small study, none in a tiny one."""
    return min(_MOST_COMMON_SEEDS, n_trials // _TRIALS_PER_COMMON_SEED)


def n_doubled_seeds(n_trials: int) -> int:
    """Number of seeds with which the compared reference architectures also run for twice the steps: three, two in
    a small study, none in a tiny one."""
    seeds = min(_MOST_DOUBLED_SEEDS, n_trials // _TRIALS_PER_DOUBLED_SEED, 1 + n_common_seeds(n_trials))
    return seeds if seeds > 1 else 0


def _kinds(placement: Placement) -> frozenset[str]:
    return frozenset(spec.kind for _, spec in placement.attended)
