"""How far the paper's start is from the identity: most gates begin as a constant scale."""

from __future__ import annotations

import pytest
import torch

from nas_attn.models.attention import build_attention
from nas_attn.models.placement import AttentionSpec


@pytest.mark.parametrize(
    ("spec", "scale"),
    [("none", 1), ("pam", 1), ("se", 0.5), ("eca", 0.5), ("cbam", 0.25), ("scse", 1), ("ca", 0.25), ("gate", 0.5)],
)
def test_fresh_module_rescales_by_the_sigmoid_of_zero_once_for_each_gate(spec, scale):
    measured = [_scale(spec, seed) for seed in range(5)]
    assert sum(measured) / 5 == pytest.approx(scale, rel=0.15)


def _scale(spec: str, seed: int) -> float:
    """The best s in y = s * x."""
    torch.manual_seed(seed)
    start = () if spec in ("none", "pam") else (("start", "paper"),)
    module = build_attention(AttentionSpec(spec, start), 64, gate_channels=128)
    x, gate = torch.randn(4, 64, 16, 16).relu(), torch.randn(4, 128, 8, 8).relu()
    with torch.no_grad():
        y = module(x, gate) if spec == "gate" else module(x)
    return float((x * y).sum() / (x * x).sum())
