"""Evolution with elitist non-dominated sorting, NSGA-II (Deb et al. 2002, doi:10.1109/4235.996017)."""

from __future__ import annotations

from typing import Any

from optuna.samplers import NSGAIISampler

from nas_attn.strategy import STRATEGIES
from nas_attn.strategy.optuna_samplers import ask
from nas_attn.strategy.question import Proposal, Question, sampler_seed
from nas_attn.strategy.seed_effects import Known

ATTEMPTS = 4
POPULATION = 10
"""Optuna's default of 50 leaves three generations to a search of 200 trials. On the lookup table (13 locations, 8
kinds, 150 trials), 50 is no better than random search, 20 has 9 % more hypervolume, 12 has 15 % and 8 has 22 %."""

OPTUNA_KEY = "NSGAIISampler:generation"
"""System attribute in which Optuna's sampler stores the generation of a trial."""


@STRATEGIES.register("nsga2")
def propose(question: Question) -> Proposal | None:
    """Propose a child of two placements of the front, sometimes mutated.

    It stores the generation. Placements from elsewhere, such as the reference architectures, join the first one.
    """
    sampler = NSGAIISampler(population_size=POPULATION, seed=sampler_seed(question))
    answer = ask(question, sampler, attempts=ATTEMPTS, attributes=generation_of)
    if answer is None:
        return None
    placement, attributes = answer
    return Proposal(placement, {"generation": attributes[OPTUNA_KEY]})


def generation_of(known: Known) -> dict[str, Any]:
    """System attributes that Optuna's sampler needs in a finished trial."""
    return {OPTUNA_KEY: known.first.memory.get("generation", 0)}
