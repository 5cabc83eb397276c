"""Descriptions of attention kinds, without building them: paper, locations, options."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from nas_attn.errors import AttentionError, did_you_mean
from nas_attn.models.placement import AttentionSpec, OptionValue, Site, Stage

ALL_STAGES: tuple[Stage, ...] = tuple(Stage)
GATED_STAGES: tuple[Stage, ...] = (Stage.SKIP, Stage.DECODER)
BLOCK_STAGES: tuple[Stage, ...] = (Stage.ENCODER, Stage.BOTTLENECK, Stage.DECODER)

NEUTRAL_START_OF = "neutral start of "
"""Prefix, before a kind's name, of the setting with the version of its neutral start. A study or a run must not
mix two."""
_FIRST = 1


class Family(StrEnum):
    """What a kind works on, which determines how the network calls it.

    A gate, a context and a stochastic module refine a feature map; a stochastic one does so at random in training.
    A convolution replaces the second convolution of a location's block. A block module wraps the whole block and
    changes its input and output. A temporal module refines the maps of all frames of a clip together.
    """

    GATE = "gate"
    CONTEXT = "context"
    CONVOLUTION = "convolution"
    BLOCK = "block"
    STOCHASTIC = "stochastic"
    TEMPORAL = "temporal"


@dataclass(frozen=True)
class Option:
    """One option of a kind, with what is needed to check a value.

    Args:
        name: keyword of the module's constructor.
        default: the paper's value, unless ``about`` or the module's docstring says otherwise.
        about: what it does, in a few words.
        choices: the allowed values, if they can be listed.
        minimum: smallest allowed number, if there is one.
        maximum: largest allowed number, if there is one.
    """

    name: str
    default: OptionValue
    about: str
    choices: tuple[OptionValue, ...] = ()
    minimum: float | None = None
    maximum: float | None = None

    @property
    def allowed(self) -> str:
        """The allowed values in words, such as ``a whole number of at least 1``."""
        if self.choices:
            return " | ".join(_text(choice) for choice in self.choices)
        if isinstance(self.default, bool):
            return "true | false"
        noun = "a whole number" if isinstance(self.default, int) else "a number"
        bounds = [
            f"at least {self.minimum:g}" if self.minimum is not None else "",
            f"at most {self.maximum:g}" if self.maximum is not None else "",
        ]
        bound = " and ".join(filter(None, bounds))
        return f"{noun} of {bound}" if bound else noun

    def problem(self, value: object) -> str | None:
        """What is wrong with a value, and what would be right; None if it is allowed."""
        if self._accepts(value):
            return None
        return f"{self.name} is {value!r}; it must be {self.allowed}"

    def _accepts(self, value: object) -> bool:
        if self.choices:
            return any(type(value) is type(choice) and value == choice for choice in self.choices)
        if isinstance(self.default, bool) or isinstance(value, bool):
            return isinstance(self.default, bool) and isinstance(value, bool)
        if not isinstance(value, int if isinstance(self.default, int) else (int, float)):
            return False
        above = self.minimum is None or value >= self.minimum
        return above and (self.maximum is None or value <= self.maximum)


START = Option(
    "start",
    "neutral",
    "neutral: gates of mean 1, last layers at zero; paper: as published; identity: faded in by a factor",
    choices=("neutral", "paper", "identity"),
)


MIN_HIDDEN = Option(
    "min_hidden",
    8,
    "minimum number of hidden channels, because one or two often never activate; 1: reduction alone, as in the "
    "papers",
    minimum=1,
)


@dataclass(frozen=True)
class AttentionKind:
    """Description of a kind of attention.

    Args:
        name: in search spaces.
        title: common name.
        paper: authors, year and arXiv number or venue.
        family: what it works on.
        stages: where it can be placed; a convolution or a block module only where there is a block.
        options: its options, without ``start``, which every kind but ``none`` has.
        needs_gate: whether it takes the decoder feature that enters its level as a second input.
        takes_classes: whether its constructor takes the number of classes, for a loss of its own.
        quadratic: whether its cost grows with (H*W)^2.
        starts_as_identity: whether the paper's own initialisation is the identity, up to rounding, so that
            ``start`` makes no difference.
        neutral_start: whether its constructor takes ``neutral``; its gates then have mean 1, and its last layers
            start at zero. A kind without it starts neutrally with the paper's initialisation.
        neutral_version: of the neutral start; it changes if that start changes. No study contains runs of two
            versions.
    """

    name: str
    title: str
    paper: str
    family: Family = Family.GATE
    stages: tuple[Stage, ...] = ALL_STAGES
    options: tuple[Option, ...] = ()
    needs_gate: bool = False
    takes_classes: bool = False
    quadratic: bool = False
    starts_as_identity: bool = False
    neutral_start: bool = False
    neutral_version: int = _FIRST

    @property
    def replaces(self) -> str:
        """The part of a network that it replaces, in words; empty if it is only inserted."""
        words = {Family.CONVOLUTION: "takes a convolution's place", Family.BLOCK: "goes around a block"}
        return words.get(self.family, "")

    @property
    def needs_clip(self) -> bool:
        """Whether it looks at the frames of a clip together; its constructor then takes their number,
        ``frames``."""
        return self.family is Family.TEMPORAL

    @property
    def all_options(self) -> tuple[Option, ...]:
        """The kind's own options, then ``start``."""
        return self.options if self.name == "none" else (*self.options, START)

    def problems(self, options: Mapping[str, object]) -> list[str]:
        """Everything that is wrong with these options, in words; empty if they are valid."""
        known = {option.name: option for option in self.all_options}
        found = []
        for name, value in options.items():
            if name not in known:
                mend = did_you_mean(name, known) if known else "it takes none"
                found.append(f"{self.name} has no option '{name}'; {mend}")
            elif problem := known[name].problem(value):
                found.append(f"{self.name}: {problem}")
        return found

    def spec(self, options: Mapping[str, OptionValue] | None = None) -> AttentionSpec:
        """The spec with these options, without those that equal the defaults.

        Raises:
            AttentionError: an option is unknown, or its value is not allowed.
        """
        options = options or {}
        if found := self.problems(options):
            raise AttentionError(found)
        defaults = {option.name: option.default for option in self.all_options}
        return AttentionSpec(
            self.name, tuple((name, value) for name, value in options.items() if value != defaults[name])
        )

    def complete(self, spec: AttentionSpec) -> dict[str, OptionValue]:
        """Every option of the kind with its value in a spec.

        Raises:
            AttentionError: the spec has an option that is unknown or not allowed.
        """
        given = dict(spec.options)
        if found := self.problems(given):
            raise AttentionError(found)
        return {option.name: given.get(option.name, option.default) for option in self.all_options}


def part_problem(kind: AttentionKind, site: Site) -> str | None:
    """Why a site has no part that a kind could replace or wrap; None if it has one, or if the kind needs none."""
    missing = ""
    if kind.family is Family.CONVOLUTION and site.convolution is None:
        missing = f"3x3 convolution of {site.channels} to {site.channels} channels"
    elif kind.family is Family.BLOCK and site.block_channels is None:
        missing = "block that keeps the size of its map"
    return (
        f"{kind.name} {kind.replaces}, and {site.location} has no {missing} in this network" if missing else None
    )


def start_versions(specs: Iterable[AttentionSpec], kinds: Mapping[str, AttentionKind]) -> dict[str, int]:
    """The version of the neutral start of each kind, by the name of the setting, such as ``neutral start of se``.

    First versions are left out, so that older studies stay the same studies.

    Args:
        specs: attentions, which may repeat.
        kinds: descriptions of their kinds, by name.
    """
    found = {}
    for spec in specs:
        kind = kinds[spec.kind]
        if kind.neutral_version != _FIRST and kind.complete(spec)["start"] == "neutral":
            found[f"{NEUTRAL_START_OF}{kind.name}"] = kind.neutral_version
    return dict(sorted(found.items()))


def unsaid_version(setting: str) -> int | None:
    """The default version of a setting; None if the setting is not a version of a start."""
    return _FIRST if setting.startswith(NEUTRAL_START_OF) else None


def _text(value: OptionValue) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
