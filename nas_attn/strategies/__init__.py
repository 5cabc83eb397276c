"""Ways to choose the placement to try next, one file each; ``STRATEGIES`` finds them by name."""

from __future__ import annotations

from nas_attn.registry import Registry
from nas_attn.strategies._contract import Proposal, Question, Strategy
from nas_attn.strategies._expectation import expected_ious
from nas_attn.strategies._ladder import Step, lowest_rung, next_step

__all__ = [
    "STRATEGIES",
    "Proposal",
    "Question",
    "Step",
    "Strategy",
    "expected_ious",
    "lowest_rung",
    "next_step",
]

STRATEGIES: Registry[Strategy] = Registry("nas_attn.strategies", "strategy")
