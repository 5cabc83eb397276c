"""Uniform sampling without replacement; in a small space, an exhaustive search in random order."""

from __future__ import annotations

from nas_attn.strategy import STRATEGIES
from nas_attn.strategy.new_placements import any_new, newness
from nas_attn.strategy.question import Proposal, Question, generator

TRIES = 512
"""If one placement in a hundred is allowed, all of these tries miss once in 170 proposals."""


@STRATEGIES.register("random")
def propose(question: Question) -> Proposal | None:
    """Propose a new placement, each with the same probability; if hardly any is left, the first one that is
    found."""
    random_, is_new = generator(question), newness(question)
    drawn = (question.space.sample(random_) for _ in range(TRIES))
    placement = next(filter(is_new, drawn), None) or any_new(question, is_new, random_)
    return None if placement is None else Proposal(placement)
