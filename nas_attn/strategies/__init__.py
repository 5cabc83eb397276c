"""Ways to choose the placement to try next, one file each; ``STRATEGIES`` finds them by name."""

from __future__ import annotations

from nas_attn.registry import Registry
from nas_attn.strategies._contract import Proposal, Question, Strategy

__all__ = ["STRATEGIES", "Proposal", "Question", "Strategy"]

STRATEGIES: Registry[Strategy] = Registry("nas_attn.strategies", "strategy")
