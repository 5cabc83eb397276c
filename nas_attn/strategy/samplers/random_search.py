"""Uniform choice without replacement; over a small space, an exhaustive search in random order."""

from __future__ import annotations

from nas_attn.strategy import STRATEGIES
from nas_attn.strategy.new_placements import any_new, newness
from nas_attn.strategy.question import Proposal, Question, generator

TRIES = 512
"""Where one placement in a hundred is allowed, all of them miss once in 170 proposals."""


@STRATEGIES.register("random")
def propose(question: Question) -> Proposal | None:
    """Each new placement as likely as any other; where hardly any is left, whichever turns up first."""
    random_, is_new = generator(question), newness(question)
    drawn = (question.space.sample(random_) for _ in range(TRIES))
    placement = next(filter(is_new, drawn), None) or any_new(question, is_new, random_)
    return None if placement is None else Proposal(placement)
