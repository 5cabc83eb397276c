"""Attention modules: one file for one paper, found by name, built from a spec."""

from __future__ import annotations

from torch import nn

from nas_attn.attention._registry import KINDS, Attention, attention
from nas_attn.attention._start import IdentityStart
from nas_attn.errors import AttentionError
from nas_attn.kind import AttentionKind
from nas_attn.placement import AttentionSpec

__all__ = ["KINDS", "Attention", "IdentityStart", "attention", "build_attention", "catalogue"]


def catalogue() -> dict[str, AttentionKind]:
    """The facts of every kind, by name, in alphabetical order."""
    return {name: KINDS[name].kind for name in KINDS}


def build_attention(spec: AttentionSpec, channels: int, gate_channels: int | None = None) -> nn.Module:
    """The module that a spec describes, for one site.

    Args:
        spec: a kind and its options; ``start`` is read here, everything else goes to the constructor.
        channels: C of the feature map.
        gate_channels: channels of the gating signal, the decoder feature that enters the level; None where
            there is none. Only a kind that needs a gate looks at it.
    Returns:
        a module that takes (x), or (x, gate) where the kind needs a gate, and returns the shape of x:
        (N, C, H, W)[, (N, gate_channels, h, w)] -> (N, C, H, W).
    Raises:
        RegistryError: no such kind.
        AttentionError: an option or a size does not fit, or the kind needs a gating signal and there is none.
    """
    entry = KINDS[spec.kind]
    options = entry.kind.complete(spec)
    start = options.pop("start", "paper")
    if not entry.kind.needs_gate:
        module = entry.module(channels, **options)
    elif gate_channels is None:
        raise AttentionError(
            f"{spec.kind} needs a gating signal and there is none here; "
            f"it may stand at {' and '.join(f'{stage}s' for stage in entry.kind.stages)}"
        )
    else:
        module = entry.module(channels, gate_channels, **options)
    return IdentityStart(module) if start == "identity" and not entry.kind.starts_as_identity else module
