"""Search strategies, which choose what a study tries next. Samplers are found by name in ``STRATEGIES``."""

from __future__ import annotations

from nas_attn.registry import Registry
from nas_attn.strategy.expectation import expected_ious
from nas_attn.strategy.question import Proposal, Question, Strategy
from nas_attn.strategy.rungs import LEAST_TWINS, PROOF, lowest_rung, twins
from nas_attn.strategy.successive_halving import Step, next_step

__all__ = [
    "LEAST_TWINS",
    "PROOF",
    "STRATEGIES",
    "Proposal",
    "Question",
    "Step",
    "Strategy",
    "expected_ious",
    "lowest_rung",
    "next_step",
    "twins",
]

STRATEGIES: Registry[Strategy] = Registry("nas_attn.strategy.samplers", "strategy", "nas_attn.strategies")
