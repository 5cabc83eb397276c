"""Attention modules, one file per paper. ``build_attention`` builds the module of a spec."""

from __future__ import annotations

from torch import nn

from nas_attn.errors import AttentionError
from nas_attn.models.attention._registry import attention
from nas_attn.models.attention._start import BlockStart, ConvolutionStart, Fade, IdentityStart
from nas_attn.models.catalogue import KINDS, Attention, catalogue
from nas_attn.models.kind import START, AttentionKind, Family
from nas_attn.models.placement import AttentionSpec, Site

__all__ = [
    "KINDS",
    "Attention",
    "Fade",
    "IdentityStart",
    "attention",
    "attention_at",
    "build_attention",
    "catalogue",
    "gate_shape",
    "takes_upconvolved",
]

_STARTS: dict[Family, type[Fade]] = {Family.CONVOLUTION: ConvolutionStart, Family.BLOCK: BlockStart}


def attention_at(spec: AttentionSpec, site: Site, classes: int) -> nn.Module:
    """Build the module that a spec describes for one site of a network (see ``build_attention``).

    Args:
        spec: a kind and its options.
        site: the place in the network, with its sizes.
        classes: K of the network.
    """
    return build_attention(
        spec,
        site.channels,
        None if (gate := gate_shape(spec, site)) is None else gate[0],
        block_channels=site.block_channels,
        classes=classes,
        frames=site.frames,
    )


def gate_shape(spec: AttentionSpec, site: Site) -> tuple[int, int, int] | None:
    """Channels, height and width of the gating signal for a spec at a site; None if there is no signal.

    The signal is the up-convolved feature if the spec asks for it and the network has one, otherwise the coarse
    feature.
    """
    if takes_upconvolved(spec) and site.up_channels is not None:
        return site.up_channels, site.height, site.width
    return site.gate_shape


def takes_upconvolved(spec: AttentionSpec) -> bool:
    """Whether a spec asks for the up-convolved feature as its gating signal."""
    kind = KINDS[spec.kind].kind
    return kind.needs_gate and kind.complete(spec).get("signal") == "upconvolved"


def build_attention(
    spec: AttentionSpec,
    channels: int,
    gate_channels: int | None = None,
    *,
    block_channels: int | None = None,
    classes: int | None = None,
    frames: int = 1,
) -> nn.Module:
    """Build the module that a spec describes, for one site.

    Args:
        spec: a kind and its options. ``start`` is used here; all other options go to the constructor.
        channels: C of the feature map.
        gate_channels: channels of the gating signal, which is the decoder feature that enters the level; None if
            there is none. Only kinds that need a gate use it.
        block_channels: channels that enter the block; None if there is no block. Only kinds that wrap a block use
            it.
        classes: K, for kinds with an auxiliary loss; None builds the module without this loss.
        frames: T of the clips, 1 for still images. Only kinds that need clips use it.
    Returns:
        a module that keeps the shape of x, or of the block's output if it wraps a block. It is called with (x);
        with (x, gate) if the kind needs a gate; with (x, block), where ``block`` is a function, if it wraps a
        block. A module that replaces a convolution is called with (x), but with (x, convolution) if ``start`` is
        ``identity``.
    Raises:
        RegistryError: there is no such kind.
        AttentionError: an option or a size does not fit, or the site lacks something that the kind needs.
    """
    entry = KINDS[spec.kind]
    kind = entry.kind
    options = kind.complete(spec)
    start = options.pop("start", START.default)
    sizes = {"channels": channels}
    if kind.needs_gate:
        sizes["gate_channels"] = _given(kind, gate_channels, "needs a gating signal, and there is none")
    if kind.family is Family.BLOCK:
        sizes["block_channels"] = _given(kind, block_channels, "goes around a block and there is none")
    if kind.takes_classes and classes is not None:
        sizes["classes"] = classes
    if kind.needs_clip:
        sizes["frames"] = _of_a_clip(kind, frames)
    if start == "neutral" and kind.neutral_start:
        options["neutral"] = True
    module = entry.module(**sizes, **options)
    if start != "identity" or kind.starts_as_identity:
        return module
    return _STARTS.get(kind.family, IdentityStart)(module)


def _of_a_clip(kind: AttentionKind, frames: int) -> int:
    if frames == 1:
        raise AttentionError(
            f"{kind.name} looks at the frames of a clip together, and these are still images; give the network "
            "frames of 2 or more, and clips as data"
        )
    return frames


def _given(kind: AttentionKind, size: int | None, why: str) -> int:
    if size is None:
        *others, last = (f"{stage}s" for stage in kind.stages)
        raise AttentionError(f"{kind.name} {why} here; it can be placed at {', '.join(others)} and {last}")
    return size
