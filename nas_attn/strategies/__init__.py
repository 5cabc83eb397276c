"""Ways to choose the placement to try next, one file each; ``STRATEGIES`` finds them by name."""

from __future__ import annotations

from nas_attn.registry import Registry
from nas_attn.strategies._contract import Proposal, Question, Strategy
from nas_attn.strategies._expectation import expected_ious
from nas_attn.strategies._ladder import Step, next_step
from nas_attn.strategies._trust import LEAST_TWINS, PROOF, lowest_rung, twins

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

STRATEGIES: Registry[Strategy] = Registry("nas_attn.strategies", "strategy", "nas_attn.strategies")
