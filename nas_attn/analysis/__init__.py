"""Turn records into a ranking: which placement is better than the plain U-Net, and how sure is that?"""

from __future__ import annotations

from nas_attn.analysis.additive import seed_effects
from nas_attn.analysis.collapse import collapsed_seeds
from nas_attn.analysis.costs import COSTS, cost_of
from nas_attn.analysis.evidence import Evidence
from nas_attn.analysis.fidelity import RungFidelity, compared_rungs, ladder_fidelity
from nas_attn.analysis.formats import ranking_csv, ranking_json
from nas_attn.analysis.front import pareto_front
from nas_attn.analysis.noise import Noise, PooledSd
from nas_attn.analysis.rank import expected_ious, front_of, rank
from nas_attn.analysis.result import Interval, RankedPlacement, Ranking, Versus
from nas_attn.analysis.runs import judged_by, metric_of

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
    "collapsed_seeds",
    "compared_rungs",
    "cost_of",
    "expected_ious",
    "front_of",
    "judged_by",
    "ladder_fidelity",
    "metric_of",
    "pareto_front",
    "rank",
    "ranking_csv",
    "ranking_json",
    "seed_effects",
]
