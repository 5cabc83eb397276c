"""The whole file: what it is, how to build and load the network, then every class that it needs."""

from __future__ import annotations

import functools
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from nas_attn.architecture import Architecture
from nas_attn.architecture.write import network_name
from nas_attn.errors import ExportError
from nas_attn.export.python.construction import Construction, constructions
from nas_attn.export.python.definitions import (
    Definition,
    Import,
    Meaning,
    closure,
    in_order,
    is_ours,
    original_of,
    source_lines,
    statement_of,
)
from nas_attn.export.python.expression import LINE, Writer
from nas_attn.export.python.hooks import wants_hooks
from nas_attn.export.python.imports import import_lines
from nas_attn.export.python.render import is_constant, rendered
from nas_attn.export.words import holding_sentence, input_sentence, origin_sentence
from nas_attn.models.adapted import AdaptedNetwork
from nas_attn.models.build import build_network
from nas_attn.models.described_network import DescribedNetwork
from nas_attn.models.families import FAMILIES, Builder
from nas_attn.models.networks import Network
from nas_attn.training.full.weights import WeightsInfo
from nas_attn.wording.placements import describe

_READER = Definition("nas_attn.export.python.runtime", "read_tensors")
_HOOKS = Definition("nas_attn.export.python.hooks", "TrainingHooks")
_HOOKED = "Network"

_ALWAYS = (
    Import("__future__", "annotations", "annotations"),
    Import("pathlib", "Path", "Path"),
    Import("torch", "", "torch"),
    Import("torch", "Tensor", "Tensor"),
)
_NN = Import("torch", "nn", "nn")
_PARTIAL = Import("functools", "partial", "partial")

_TAKEN = ("CLASSES", "MEAN", "STD", "build", "load", "normalise", _HOOKED)

_HEAD = '''\
"""{title}

{origin}

    network = load("{weights}")  # or build(), with fresh weights
    logits = network(normalise(images))  # (N, {channels}, H, W) -> (N, {classes}, H, W)
    labels = logits.argmax(1)

{taken}
{hooks}"""
'''

_HOOKS_HEAD = """
To train it, call network.begin_step(step, steps) before each forward pass and add network.own_loss(masks) to
the loss: without these some of its attention never learns (see {hooks}).
"""

_BODY = '''\
CLASSES = {classes}
# Of each channel, in pixel units.
MEAN = {mean}
STD = {std}


def build() -> {network}:
    """The network with fresh weights."""
    return {construction}


def load(weights: str | Path) -> {network}:
    """The network with trained weights, ready to predict.

    Args:
        weights: a .safetensors file, or one of ``torch.save(network.state_dict(), ...)``.
    """
    network = build()
    network.load_state_dict({read}(weights))
    return network.eval()


def normalise(pixels: Tensor) -> Tensor:
    """Raw pixels as the network takes them: of mean 0 and standard deviation 1 over the training images.

    Shape: (N, C, H, W) -> (N, C, H, W).
    """
    mean = torch.tensor(MEAN, device=pixels.device).view(1, -1, 1, 1)
    std = torch.tensor(STD, device=pixels.device).view(1, -1, 1, 1)
    return (pixels.float() - mean) / std
'''

_SUBCLASS = '''

class {network}({hooks}, {plain}):
    """The network with what its attention wants of a training loop; its weights have the same names."""
'''


def python_source(architecture: Architecture, trained: WeightsInfo | None, weights: str) -> str:
    """A Python file that builds the network of an architecture, with nothing but PyTorch, and the library that has
    the network where it is not nas-attn's own.

    The sources of the classes that are in the network are copied with all that they refer to, less the checks of
    arguments, which are right by now. The names of all weights stay as they are.

    Args:
        architecture: what to write.
        trained: what is known of its weights; None where there are none.
        weights: name of the file with the weights, for the example in the head.
    """
    with constructions() as made:
        network = build_network(architecture.network, architecture.placement)
    theirs = _builder_of(architecture.network)
    if theirs is not None and isinstance(network, AdaptedNetwork):
        made[network.network] = Construction(theirs.function, (), dict(theirs.arguments))
    elsewhere = {} if theirs is None else {theirs.function: theirs.name.rpartition(".")[2]}

    def name_of(kind: Any) -> str:
        if kind in elsewhere:
            return elsewhere[kind]
        return names[_definition(kind)] if _is_ours(kind) else f"nn.{kind.__name__}"

    writer = Writer(made, name_of)
    kinds = [kind for kind in dict.fromkeys(writer.classes(network)) if kind not in elsewhere]
    hooked = wants_hooks(network)
    found = closure(
        [*(_definition(kind) for kind in kinds if _is_ours(kind)), _READER, *([_HOOKS] if hooked else [])]
    )
    names = _names(found)
    plain = names[_definition(type(network))]
    returned = _HOOKED if hooked else plain
    body = _BODY.format(
        classes=writer.write(architecture.classes, "", len("CLASSES = ")),
        mean=writer.write(architecture.mean, "", len("MEAN = ")),
        std=writer.write(architecture.std, "", len("STD = ")),
        network=returned,
        construction=writer.write(network, "    ", len("    return ")).replace(f"{plain}(", f"{returned}(", 1),
        read=names[_READER],
    )
    others = [_PARTIAL if kind is functools.partial else _NN for kind in kinds if not _is_ours(kind)]
    if theirs is not None:
        module, _, name = theirs.name.rpartition(".")
        others.append(Import(module, name, name))
    imports = import_lines([*_ALWAYS, *others, *_imports(found)])
    hooks = names[_HOOKS] if hooked else ""
    ending = _SUBCLASS.format(network=_HOOKED, hooks=hooks, plain=plain) if hooked else ""
    head = _head(architecture, trained, weights, hooks)
    return f"{head}\n{imports}\n{body}{''.join(_definitions(found, names))}{ending}"


def _builder_of(network: Network) -> Builder | None:
    """The call that builds a network of somebody else's; None of nas-attn's own."""
    if not isinstance(network, DescribedNetwork):
        return None
    return FAMILIES[network.asked.family].plan(network.asked, network.in_channels, network.classes)


def _head(architecture: Architecture, trained: WeightsInfo | None, weights: str, hooks: str) -> str:
    network = architecture.network
    theirs = _builder_of(network)
    needed = "nothing else" if theirs is None else theirs.name.partition(".")[0]
    taken = f"{input_sentence(architecture, trained)} This file needs PyTorch and {needed}."
    return _HEAD.format(
        title=_paragraph(f"{network_name(architecture)}: {describe(architecture.placement)}.", opening='"""'),
        origin=_paragraph(f"{origin_sentence(architecture)} {holding_sentence(architecture)}".strip()),
        weights=_escaped(weights),
        channels=network.in_channels,
        classes=network.classes,
        taken=_paragraph(taken),
        hooks=_HOOKS_HEAD.format(hooks=hooks) if hooks else "",
    )


def _definitions(
    found: Mapping[Definition, Mapping[str, Meaning]], names: Mapping[Definition, str]
) -> Iterator[str]:
    """The texts of all definitions, each with the empty lines in front of it."""
    before: Definition | None = None
    for definition in in_order(_top_down(found)):
        meanings = found[definition]
        called = {
            name: names[meaning] if isinstance(meaning, Definition) else "ValueError"
            for name, meaning in meanings.items()
            if not isinstance(meaning, Import)
        }
        text = rendered(
            source_lines(definition),
            original_of(definition),
            statement_of(definition),
            called,
            names[definition],
        )
        together = before is not None and all(is_constant(statement_of(one)) for one in (before, definition))
        yield text if together else f"\n\n{text}"
        before = definition


def _top_down(
    found: Mapping[Definition, Mapping[str, Meaning]],
) -> dict[Definition, Mapping[str, Meaning]]:
    """Module by module in the order of discovery, each in the order of its lines."""
    modules = list(dict.fromkeys(definition.module for definition in found))
    ordered = sorted(found, key=lambda one: (modules.index(one.module), original_of(one).lineno))
    return {definition: found[definition] for definition in ordered}


def _names(found: Iterable[Definition]) -> dict[Definition, str]:
    """A name for each definition: its own, or, where that is taken, with the name of its module in front."""
    names: dict[Definition, str] = {}
    for definition in found:
        name, module = definition.name, definition.module.rpartition(".")[2].strip("_")
        while name in _TAKEN or name in names.values():
            name = _longer(name, module)
        names[definition] = name
    return names


def _longer(name: str, module: str) -> str:
    """``_resized`` of psa becomes ``_psa_resized``, ``SIZE`` ``PSA_SIZE`` and ``Branch`` ``PsaBranch``."""
    underscore, plain = "_" * name.startswith("_"), name.lstrip("_")
    if plain.isupper():
        return f"{underscore}{module.upper()}_{plain}"
    if plain[:1].isupper():
        return f"{underscore}{module.title().replace('_', '')}{plain}"
    return f"{underscore}{module}_{plain}"


def _imports(found: Mapping[Definition, Mapping[str, Meaning]]) -> list[Import]:
    """Raises ExportError where one name would have to mean two things."""
    imports = [
        meaning for meanings in found.values() for meaning in meanings.values() if isinstance(meaning, Import)
    ]
    by_alias = {one.alias: one for one in imports}
    if clashes := [one for one in imports if by_alias[one.alias] != one]:
        raise ExportError(
            f"python: '{clashes[0].alias}' is imported from {clashes[0].module} and from "
            f"{by_alias[clashes[0].alias].module}; give one of them another name in the attention's file"
        )
    return imports


def _definition(kind: Callable[..., Any]) -> Definition:
    return Definition(kind.__module__, kind.__name__)


def _is_ours(kind: Callable[..., Any]) -> bool:
    return is_ours(kind.__module__)


def _paragraph(text: str, opening: str = "") -> str:
    filled = textwrap.fill(opening + _escaped(text), LINE, break_long_words=False, break_on_hyphens=False)
    return filled.removeprefix(opening)


def _escaped(text: str) -> str:
    """Text that neither ends a string nor is changed by one."""
    return text.replace("\\", "\\\\").replace('"', '\\"')
