"""Records in, ranking out: which placement is better than the plain U-Net, and how sure is that?"""

from __future__ import annotations

from nas_attn.ranking.additive import seed_effects
from nas_attn.ranking.collapse import collapsed_seeds
from nas_attn.ranking.describe import amount, bounds, counted, describe, gained, measured, named, points
from nas_attn.ranking.evidence import Evidence
from nas_attn.ranking.fidelity import RungFidelity, compared_rungs, ladder_fidelity
from nas_attn.ranking.formats import ranking_csv, ranking_json
from nas_attn.ranking.noise import Noise, PooledSd
from nas_attn.ranking.order import COSTS, expected_ious, front_of
from nas_attn.ranking.pareto import pareto_front
from nas_attn.ranking.rank import cost_of, rank
from nas_attn.ranking.result import Interval, RankedPlacement, Ranking, Versus

__all__ = [
    "COSTS",
    "Evidence",
    "Interval",
    "Noise",
    "PooledSd",
    "RankedPlacement",
    "Ranking",
    "RungFidelity",
    "Versus",
    "amount",
    "bounds",
    "collapsed_seeds",
    "compared_rungs",
    "cost_of",
    "counted",
    "describe",
    "expected_ious",
    "front_of",
    "gained",
    "ladder_fidelity",
    "measured",
    "named",
    "pareto_front",
    "points",
    "rank",
    "ranking_csv",
    "ranking_json",
    "seed_effects",
]
