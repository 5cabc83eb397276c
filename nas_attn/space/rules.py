"""Rules: which attention may stand where, and why not."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from nas_attn.commands import command
from nas_attn.errors import AttentionError, did_you_mean
from nas_attn.models.kind import GATED_STAGES, START, AttentionKind, part_problem
from nas_attn.models.placement import AttentionSpec, OptionValue, Site, Stage


def canonical_spec(kind: AttentionKind, options: Mapping[str, OptionValue]) -> AttentionSpec:
    """The canonical form of these options, so that equal modules have equal specs.

    Defaults are left out, and so is a ``start`` that makes no difference.

    Raises:
        AttentionError: an option is unknown, or its value is not allowed.
    """
    spec = kind.spec(options)
    same = START.choices if kind.starts_as_identity else () if kind.neutral_start else ("paper",)
    return AttentionSpec(
        kind.name, tuple(pair for pair in spec.options if pair[0] != START.name or pair[1] not in same)
    )


def stage_problem(kind: AttentionKind, stage: Stage) -> str | None:
    """Why a kind cannot be placed at a stage; None if it can."""
    if stage in kind.stages:
        return None
    where = f"it can be placed at {_listed(kind.stages, 'and')}"
    if kind.needs_gate and stage not in GATED_STAGES:
        return f"{kind.name} cannot stand here: encoders and the bottleneck have no gating signal ({where})"
    return f"{kind.name} cannot stand at {stage} ({where})"


def site_problem(kind: AttentionKind, site: Site) -> str | None:
    """Why a network lacks what a kind needs at a site that its stage would allow; None if it does not."""
    if problem := part_problem(kind, site):
        return problem
    if kind.needs_gate and site.gate_channels is None:
        return f"{kind.name} needs a gating signal, and none was found at {site.location} in this network"
    return None


def replacing_problem(kinds: Iterable[AttentionKind], network: str) -> str | None:
    """Why a space for a network of others may not name kinds; None if it may.

    Args:
        kinds: that it names, and that have no part of the network to replace or to wrap anywhere.
        network: its title.
    """
    names = sorted({kind.name for kind in kinds})
    if not names:
        return None
    verb, them = ("replaces or wraps", "it") if len(names) == 1 else ("replace or wrap", "them")
    return (
        f"{_listed(names, 'and')} {verb} a part of the network, and {network} has none of their shape where the "
        f"file names {them}; leave {them} out, or look where there is one: {command('network')}"
    )


def position_problem(kind: AttentionKind, site: Site, max_positions: int) -> str | None:
    """Why a kind is too large for a site; None if it is not."""
    if not kind.quadratic or site.positions <= max_positions:
        return None
    return (
        f"{kind.name} has costs that grow with (H*W)^2, and H*W is {site.height}*{site.width} = "
        f"{site.positions} here, over "
        f"max_positions of {max_positions}, so place it deeper or raise limits.max_positions"
    )


def clip_problem(kinds: Iterable[AttentionKind], frames: int) -> str | None:
    """Why kinds cannot be used on single images; None if they can, or if there are clips.

    Args:
        frames: T of the network.
    """
    names = list(dict.fromkeys(kind.name for kind in kinds if kind.needs_clip))
    if frames > 1 or not names:
        return None
    verb = "looks" if len(names) == 1 else "look"
    return (
        f"{_listed(names, 'and')} {verb} at the frames of a clip together, but the network sees single images; "
        "give it frames of 2 or more (network: {frames: 4}) and search clips (--data clips, or a folder with "
        "images/train/CLIP/0001.png)"
    )


def spec_problem(
    spec: AttentionSpec,
    site: Site,
    choices: Sequence[AttentionSpec],
    kinds: Mapping[str, AttentionKind],
    max_positions: int,
) -> str | None:
    """Why a spec cannot stand at a site, the most basic reason first; None if it can."""
    kind = kinds.get(spec.kind)
    if kind is None:
        return f"unknown attention '{spec.kind}', {did_you_mean(spec.kind, kinds)}"
    try:
        usual = canonical_spec(kind, dict(spec.options))
    except AttentionError as error:
        return ", ".join(error.problems)
    problem = stage_problem(kind, site.location.stage) or site_problem(kind, site)
    if problem := problem or position_problem(kind, site, max_positions):
        return problem
    if problem := clip_problem([kind], site.frames):
        return problem
    if spec != usual:
        return f"{spec} is the same as {usual}, so write that"
    if spec in choices:
        return None
    return f"{spec} is not among the choices, so take {_listed(choices, 'or')}"


def _listed(things: Sequence[object], word: str) -> str:
    texts = [str(thing) for thing in things]
    return texts[0] if len(texts) == 1 else f"{', '.join(texts[:-1])} {word} {texts[-1]}"
