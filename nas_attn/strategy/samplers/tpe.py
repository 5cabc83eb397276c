"""Tree-structured Parzen estimator over whole placements (Bergstra et al. 2011; Ozaki et al. 2022)."""

from __future__ import annotations

from optuna.samplers import TPESampler

from nas_attn.strategy import STRATEGIES
from nas_attn.strategy.optuna_samplers import ask
from nas_attn.strategy.question import Proposal, Question, sampler_seed

ATTEMPTS = 4


@STRATEGIES.register("tpe")
def propose(question: Question) -> Proposal | None:
    """Propose a placement that resembles the good placements more than the others.

    The sampler is multivariate: Optuna 5's default for two objectives, one location at a time, proposes every
    third placement again. Pending placements count as bad ones.
    """
    sampler = TPESampler(multivariate=True, constant_liar=True, seed=sampler_seed(question))
    answer = ask(question, sampler, attempts=ATTEMPTS)
    return None if answer is None else Proposal(answer[0])
