"""Tree-structured Parzen estimator over whole placements (Bergstra et al. 2011; Ozaki et al. 2022)."""

from __future__ import annotations

from optuna.samplers import TPESampler

from nas_attn.strategy import STRATEGIES
from nas_attn.strategy.optuna_samplers import ask
from nas_attn.strategy.question import Proposal, Question, sampler_seed

ATTEMPTS = 4


@STRATEGIES.register("tpe")
def propose(question: Question) -> Proposal | None:
    """A placement that resembles the good ones more than the others.

    Multivariate: one location at a time, Optuna 5's choice for two objectives, proposes every third
    placement again. Pending placements count among the bad ones.
    """
    sampler = TPESampler(multivariate=True, constant_liar=True, seed=sampler_seed(question))
    answer = ask(question, sampler, attempts=ATTEMPTS)
    return None if answer is None else Proposal(answer[0])
