"""Evaluations as arrays: what the model of effects learns from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from nas_attn.budget import Budget
from nas_attn.record import TrialRecord
from nas_attn.strategy.encoding import Codes, Encoding
from nas_attn.strategy.robust_scale import Array, bent

Numbers = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class RungRuns:
    """Finished evaluations, of one budget or of all rungs of a ladder.

    Args:
        codes: (n, L) choices; 0 is ``none``, which has no effect.
        stages: (L,) stage of each location.
        seeds: (n,) number of each run's seed, from 0; on another rung a seed is another one, since it brings other
            luck.
        rungs: (n,) 0 for a run of the top budget, 1 for one of the budget below it, and so on.
        ious: (n,) nan where a run failed.
        n_specs: S, how many attentions there are, ``none`` included.
    """

    codes: Codes
    stages: Numbers
    seeds: Numbers
    rungs: Numbers
    ious: Array
    n_specs: int

    @classmethod
    def of(cls, records: Sequence[TrialRecord], encoding: Encoding, ladder: tuple[Budget, ...] = ()) -> RungRuns:
        """Finished evaluations.

        Args:
            records: by number.
            encoding: that holds all of their placements.
            ladder: budgets of the records, the shortest first; may be left out where they have one only.
        """
        rung_of = {budget: rung for rung, budget in enumerate(reversed(ladder))}
        rungs = [rung_of.get(record.budget, 0) for record in records]
        lucks = list(zip(rungs, (record.seed for record in records), strict=True))
        number = {luck: index for index, luck in enumerate(dict.fromkeys(lucks))}
        ious = [np.nan if record.outcome is None else record.outcome.score.iou for record in records]
        return cls(
            codes=encoding.encode(record.placement for record in records),
            stages=encoding.stages,
            seeds=np.array([number[luck] for luck in lucks], dtype=np.int64),
            rungs=np.array(rungs, dtype=np.int64),
            ious=np.array(ious, dtype=float),
            n_specs=len(encoding.specs),
        )

    def first(self, number: int) -> RungRuns:
        """The earliest of the runs."""
        return replace(
            self,
            codes=self.codes[:number],
            seeds=self.seeds[:number],
            rungs=self.rungs[:number],
            ious=self.ious[:number],
        )

    @property
    def n_locations(self) -> int:
        """L."""
        return len(self.stages)

    @cached_property
    def n_seeds(self) -> int:
        """How many seeds there are, those of each rung counted by themselves."""
        return int(self.seeds.max(initial=-1)) + 1

    @cached_property
    def n_short(self) -> int:
        """How many rungs below the top have runs, or lie above one that has."""
        return int(self.rungs.max(initial=0))

    @cached_property
    def scores(self) -> Array:
        """The IoUs about 0 with a spread of 1 among the runs of their rung, (n,)."""
        scores = np.empty(len(self.ious))
        for rung in range(self.n_short + 1):
            here = self.rungs == rung
            scores[here] = bent(self.ious[here])
        return scores
