"""Gaussian processes with expected hypervolume improvement (Daulton et al. 2020, arXiv:2006.05078)."""

from __future__ import annotations

from optuna.samplers import GPSampler
from optuna.trial import TrialState

from nas_attn.strategy import STRATEGIES
from nas_attn.strategy.optuna_samplers import ask
from nas_attn.strategy.question import Proposal, Question, sampler_seed

ATTEMPTS = 2
"""Each attempt costs another optimisation of the acquisition function, about a second."""


@STRATEGIES.register("gp")
def propose(question: Question) -> Proposal | None:
    """Propose the placement with the highest expected improvement of the front.

    A failed placement is presented as a running one: the sampler ignores failed trials and would propose the same
    placement again and again, while it expects no further improvement from running ones.
    """
    sampler = GPSampler(seed=sampler_seed(question), warn_independent_sampling=False)
    answer = ask(question, sampler, attempts=ATTEMPTS, failed_as=TrialState.RUNNING)
    return None if answer is None else Proposal(answer[0])
