"""The file with nnU-Net's trainers: instructions, the trainers, and every class that they need.

Its attention is compared in one of nnU-Net's networks before the file is kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from torch import nn

from nas_attn.architecture import Architecture
from nas_attn.architecture.replacing import write_text
from nas_attn.architecture.write import network_name
from nas_attn.errors import ExportError
from nas_attn.export.agreement import Agreement, compare, probes, stirred
from nas_attn.export.python.carried import carried
from nas_attn.export.python.definitions import Definition
from nas_attn.export.python.expression import Construction, Name, Writer, classes_in, constructions
from nas_attn.export.python.file import paragraph
from nas_attn.export.python.imports import Import, import_lines
from nas_attn.export.python.runtime import wants_hooks
from nas_attn.export.python.write import executed
from nas_attn.export.subject import Subject
from nas_attn.export.words import holding_sentence, origin_sentence
from nas_attn.models.asked_network import AskedNetwork
from nas_attn.models.attention import attention_at
from nas_attn.models.build import build_network, way_of
from nas_attn.models.catalogue import KINDS
from nas_attn.models.discovery import build_fresh, look_at
from nas_attn.models.insertion import Way
from nas_attn.models.kind import Family
from nas_attn.models.placement import AttentionSpec, Location, Placement, Site, Stage
from nas_attn.wording.placements import describe

TRAINER = "nnUNetTrainerAttention"
BASELINE = f"{TRAINER}Baseline"

_PLANNED = "nas_attn.export.nnunet.planned"
_ATTEND = Definition(_PLANNED, "attend")
_PLACED, _PLACED_INSTEAD = Definition(_PLANNED, "Placed"), Definition(_PLANNED, "PlacedInstead")
_FOLLOWING = Definition("nas_attn.export.nnunet.training", "FollowingTrainer")
_ALWAYS = (
    Import("__future__", "annotations", "annotations"),
    Import("functools", "wraps", "wraps"),
    Import("typing", "Any", "Any"),
)
_NNUNET = Import("nnunetv2.training.nnUNetTrainer.nnUNetTrainer", "nnUNetTrainer", "nnUNetTrainer")
_SIZES = ("channels", "gate_channels", "block_channels", "classes")
_SOME_CHANNELS = 64
"""Channels of a module that is only built to write down its construction."""

_HEAD = '''\
"""{title}

{origin}

Put this file into a folder of its own, let nnUNet_extTrainer name that folder, in training and in prediction, and

    nnUNetv2_plan_and_preprocess -d DATASET -c 2d
    nnUNetv2_train DATASET 2d FOLD -tr {trainer}
    nnUNetv2_train DATASET 2d FOLD -tr {baseline}

The first trainer puts the attention into the network that nnU-Net plans for the data; the second takes that
network as it is. All else is nnU-Net's own: loss, crops and schedule are not those of the search. Compare
them over the same folds: nnU-Net draws without a seed, and one fold says little. This
file needs nnunetv2 and PyTorch, and nothing of nas-attn.
"""
'''

_TRAINERS = '''

class {trainer}({bases}):
    """{about}."""

    @staticmethod
    @wraps(nnUNetTrainer.build_network_architecture)
    def build_network_architecture(*arguments: Any, **options: Any) -> Any:
        return {attend}(nnUNetTrainer.build_network_architecture(*arguments, **options), ATTENTION)


class {baseline}(nnUNetTrainer):
    """The baseline: the network as nnU-Net plans it."""
'''

_WIDEST = 128
"""Channels of the network for the comparison; nnU-Net's own may have more."""


def write_trainers(subject: Subject, path: Path) -> str:
    """Write a file with two trainers for nnU-Net v2: with the attention of an architecture, and without.

    Args:
        subject: with the attention; nnU-Net trains it from its own initialisation.
        path: of the file.
    Returns:
        in words, how to train, and how the attention compares with that of nas-attn.
    Raises:
        ExportError: the attention cannot stand in a planned network, nnU-Net would not find the file, or the path
            cannot be written.
        NetworkError: nnU-Net's networks are not installed, so nothing can be compared.
    """
    if "." in path.stem:
        other = path.with_stem(path.stem.replace(".", "_"))
        raise ExportError(f"{path}: nnU-Net finds no file with a dot in its name; write -o {other}")
    source = trainer_source(subject.architecture)
    agreement = _agreement(subject.architecture, source, path)
    if not agreement.exact:
        raise ExportError(f"{path}: not written: the file's attention is not the same ({agreement})")
    write_text(path, str(source))
    trainers = f"trainers {trainer_name(subject.architecture)} and {BASELINE}"
    return f"{trainers}; in nnU-Net's PlainConvUNet {agreement}"


@dataclass(frozen=True)
class TrainerSource:
    """The parts of the file.

    Args:
        head: its docstring.
        imports: from the standard library and PyTorch.
        attention: everything that only needs PyTorch.
        trainers: the classes.
        attend: name, in the file, of the function that inserts the attention into a network.
    """

    head: str
    imports: tuple[Import, ...]
    attention: str
    trainers: str
    attend: str

    def __str__(self) -> str:
        return f"{self.head}\n{import_lines([*self.imports, _NNUNET])}{self.attention}{self.trainers}"

    @property
    def without_trainers(self) -> str:
        """The part that runs without nnU-Net."""
        return f"{import_lines(self.imports)}{self.attention}"


def trainer_name(architecture: Architecture) -> str:
    """Name of the class with the attention, which is also in the name of nnU-Net's results folder."""
    return f"{TRAINER}_{architecture.placement.id}"


def trainer_source(architecture: Architecture) -> TrainerSource:
    """The file for a placement.

    Args:
        architecture: of any network; its locations are matched by their levels.
    Raises:
        ExportError: it has no attention, or some that cannot stand in a network of others; all problems are
            reported.
    """
    placed = dict(architecture.placement.attended)
    if architecture.multi_label:
        raise ExportError(
            "nnunet: these classes may overlap (multi_label), for which nnU-Net needs regions in its "
            "dataset.json; export the network with --format python"
        )
    _check(placed)
    with constructions() as made:
        modules = {str(at): _some_module(spec, at, len(architecture.classes)) for at, spec in placed.items()}
    for module in modules.values():
        _name_sizes(module, made)
    follows = wants_hooks(nn.ModuleList(modules.values()))
    holders = dict.fromkeys(_holder(spec) for spec in placed.values())
    copied = carried(
        dict.fromkeys(classes_in(list(modules.values()), made)),
        [*holders, _ATTEND, *([_FOLLOWING] if follows else [])],
        ("ATTENTION", trainer_name(architecture), BASELINE, "nnUNetTrainer", *_SIZES),
    )
    names, writer = copied.names, Writer(made, copied.name_of)
    table = [_entry(str(at), spec, modules[str(at)], writer, names[_holder(spec)]) for at, spec in placed.items()]
    trainers = _TRAINERS.format(
        trainer=trainer_name(architecture),
        baseline=BASELINE,
        bases=", ".join([*([names[_FOLLOWING]] if follows else []), "nnUNetTrainer"]),
        about=describe(architecture.placement),
        attend=names[_ATTEND],
    )
    return TrainerSource(
        _head(architecture),
        (*_ALWAYS, *copied.imports),
        f"{copied.text}\n\nATTENTION = {{\n{''.join(table)}}}\n",
        trainers,
        names[_ATTEND],
    )


def _check(placed: Mapping[Location, AttentionSpec]) -> None:
    if not placed:
        raise ExportError(
            "nnunet: this placement has no attention, and the baseline is nnU-Net's own trainer: nnUNetv2_train "
            "DATASET 2d FOLD; --pick first takes the first with attention"
        )
    if problems := [
        f"nnunet: {location}: {spec.kind} looks at the frames of a clip, and nnU-Net has still images"
        for location, spec in placed.items()
        if KINDS[spec.kind].kind.needs_clip
    ]:
        raise ExportError(problems)


def _some_module(spec: AttentionSpec, location: Location, classes: int) -> nn.Module:
    site = Site(
        location,
        channels=_SOME_CHANNELS,
        height=_SOME_CHANNELS,
        width=_SOME_CHANNELS,
        gate_channels=_SOME_CHANNELS,
        gate_size=(_SOME_CHANNELS, _SOME_CHANNELS),
        block_channels=_SOME_CHANNELS,
    )
    return attention_at(spec, site, classes)


def _name_sizes(module: nn.Module, made: dict[nn.Module, Construction]) -> None:
    """Write variables for the sizes that only the planned network knows, also for modules that are arguments of
    others."""
    within = [one for one in made[module].args if isinstance(one, nn.Module)]
    for part in (module, *within):
        sizes = {name: Name(name) for name in made[part].options if name in _SIZES}
        made[part] = replace(made[part], options=made[part].options | sizes)


def _holder(spec: AttentionSpec) -> Definition:
    """The class that holds an attention in the table."""
    return _PLACED_INSTEAD if KINDS[spec.kind].kind.replaces else _PLACED


def _entry(location: str, spec: AttentionSpec, module: nn.Module, writer: Writer, holder: str) -> str:
    """An entry of the table of attention."""
    kind = KINDS[spec.kind].kind
    second = "block_channels" if kind.family is Family.BLOCK else "gate_channels"
    opening = f'    "{location}": {holder}(lambda channels, {second}, classes: '
    ending = ", gated=True" if kind.needs_gate else ""
    if (way := way_of(kind, module)) is not Way.BEHIND:
        ending = f', part="{kind.family}"{", around=True" if way is Way.AROUND else ""}'
    return f"{opening}{writer.write(module, '    ', len(opening + ending) + 2)}{ending}),\n"


def _head(architecture: Architecture) -> str:
    title = f"Trainers of nnU-Net v2 for {describe(architecture.placement)}."
    found_in = (
        f"The placement is one of {network_name(architecture)}: its level N is stage N of nnU-Net's network."
    )
    sentences = (origin_sentence(architecture), found_in, holding_sentence(architecture))
    return _HEAD.format(
        title=paragraph(title, opening='"""'),
        origin=paragraph(" ".join(filter(None, sentences))),
        trainer=trainer_name(architecture),
        baseline=BASELINE,
    )


def _agreement(architecture: Architecture, source: TrainerSource, path: Path) -> Agreement:
    """Compare the same network with attention from nas-attn and from the file, with weights that give every module
    an effect."""
    levels = [one.level for one, _ in architecture.placement.attended if one.stage is not Stage.BOTTLENECK]
    stages = max([*levels, 1]) + 2
    asked = AskedNetwork("nnunet", "PlainConvUNet", _arguments(stages))
    channels, classes = architecture.network.in_channels, len(architecture.classes)
    network = look_at(asked, channels, classes).network
    known = dict(architecture.placement)
    placement = Placement(tuple((one, known.get(one, none)) for one, none in network.plain))
    ours = build_network(network, placement).eval()
    module = executed(source.without_trainers, path)
    theirs = getattr(module, source.attend)(build_fresh(asked, channels, classes, seed=0), module.ATTENTION)
    state = stirred(theirs.state_dict())
    theirs.load_state_dict(state)
    ours.load_state_dict({f"network.{name}": tensor for name, tensor in state.items()})
    images = probes(channels, 2**stages, network.least_size, multiple=network.divisor)
    return compare(ours, theirs.eval(), list(images))


def _arguments(stages: int) -> dict[str, object]:
    """Arguments of a planned network with this number of stages."""
    features = tuple(min(32 * 2**stage, _WIDEST) for stage in range(stages))
    return {"n_stages": stages, "features_per_stage": features, "strides": (1, *(2,) * (stages - 1))}
