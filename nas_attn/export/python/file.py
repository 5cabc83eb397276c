"""The whole Python file: what it is, how to build and load the network, and every class that it needs."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from nas_attn.architecture import Architecture
from nas_attn.architecture.write import network_name
from nas_attn.export.python.carried import carried
from nas_attn.export.python.definitions import Definition
from nas_attn.export.python.expression import LINE, Construction, Writer, classes_in, constructions
from nas_attn.export.python.imports import Import, import_lines
from nas_attn.export.python.runtime import wants_hooks
from nas_attn.export.words import holding_sentence, input_sentence, labels_code, origin_sentence
from nas_attn.models.adapted import AdaptedNetwork
from nas_attn.models.build import build_network
from nas_attn.models.described_network import DescribedNetwork, Network
from nas_attn.models.families import FAMILIES, Builder
from nas_attn.training.full.weights import WeightsInfo
from nas_attn.wording.placements import describe

_READER = Definition("nas_attn.export.python.runtime", "read_tensors")
_HOOKS = Definition("nas_attn.export.python.runtime", "TrainingHooks")
_HOOKED = "Network"

_ALWAYS = (
    Import("__future__", "annotations", "annotations"),
    Import("pathlib", "Path", "Path"),
    Import("torch", "", "torch"),
    Import("torch", "Tensor", "Tensor"),
)

_TAKEN = ("CLASSES", "MEAN", "STD", "build", "load", "main", "normalise", "pretrained", _HOOKED)

_HEAD = '''\
"""{title}

{origin}

    network = load("{weights}")  # or build(), with fresh weights
    logits = network(normalise(images))  # (N, {channels}, H, W) -> (N, {classes}, H, W)
    labels = {labels}

{taken}
{hooks}{how}"""
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


@dataclass(frozen=True)
class Addition:
    """What a file has in addition to the network.

    Args:
        wanted: definitions that are copied too.
        imports: that it needs in addition to theirs.
        how: a paragraph of the docstring.
        ending: returns the end of the file, from the names of the definitions and a writer of values.
    """

    wanted: tuple[Definition, ...] = ()
    imports: tuple[Import, ...] = ()
    how: str = ""
    ending: Callable[[Mapping[Definition, str], Writer], str] = lambda names, writer: ""


_NO_ADDITION = Addition()


def python_source(
    architecture: Architecture, trained: WeightsInfo | None, weights: str, addition: Addition = _NO_ADDITION
) -> str:
    """A Python file that builds the network of an architecture with PyTorch alone, or with the library of a
    network of others.

    The sources of the network's classes are copied with everything that they refer to, without the checks of
    arguments, which have already passed. The names of all weights stay as they are.

    Args:
        architecture: to write.
        trained: description of its weights; None if there are none.
        weights: name of the file with the weights, for the example in the head.
        addition: further content of the file.
    """
    with constructions() as made:
        network = build_network(architecture.network, architecture.placement)
    theirs = _builder_of(architecture.network)
    if theirs is not None and isinstance(network, AdaptedNetwork):
        made[network.network] = Construction(theirs.function, (), dict(theirs.arguments))
    hooked = wants_hooks(network)
    copied = carried(
        dict.fromkeys(classes_in(network, made)),
        [_READER, *([_HOOKS] if hooked else []), *addition.wanted],
        _TAKEN,
        {} if theirs is None else {theirs.function: _imported(theirs)},
    )
    names, writer = copied.names, Writer(made, copied.name_of)
    plain = copied.name_of(type(network))
    returned = _HOOKED if hooked else plain
    body = _BODY.format(
        classes=writer.write(architecture.classes, "", len("CLASSES = ")),
        mean=writer.write(architecture.mean, "", len("MEAN = ")),
        std=writer.write(architecture.std, "", len("STD = ")),
        network=returned,
        construction=writer.write(network, "    ", len("    return ")).replace(f"{plain}(", f"{returned}(", 1),
        read=names[_READER],
    )
    hooks = names[_HOOKS] if hooked else ""
    subclass = _SUBCLASS.format(network=_HOOKED, hooks=hooks, plain=plain) if hooked else ""
    needed = "nothing else" if theirs is None else theirs.name.partition(".")[0]
    head = _head(architecture, trained, weights, needed, hooks, addition.how)
    imports = import_lines([*_ALWAYS, *addition.imports, *copied.imports])
    return f"{head}\n{imports}\n{body}{copied.text}{subclass}{addition.ending(names, writer)}"


def paragraph(text: str, opening: str = "") -> str:
    """Text broken into lines for a docstring.

    Args:
        text: in one line.
        opening: text before it on the first line, which is not returned.
    """
    filled = textwrap.fill(opening + _escaped(text), LINE, break_long_words=False, break_on_hyphens=False)
    return filled.removeprefix(opening)


def _imported(builder: Builder) -> Import:
    module, _, name = builder.name.rpartition(".")
    return Import(module, name, name)


def _builder_of(network: Network) -> Builder | None:
    """The call that builds a network of others; None for nas-attn's own."""
    if not isinstance(network, DescribedNetwork):
        return None
    return FAMILIES[network.asked.family].plan(network.asked, network.in_channels, network.classes)


def _head(
    architecture: Architecture, trained: WeightsInfo | None, weights: str, needed: str, hooks: str, how: str
) -> str:
    network = architecture.network
    taken = f"{input_sentence(architecture, trained)} This file needs PyTorch and {needed}."
    return _HEAD.format(
        title=paragraph(f"{network_name(architecture)}: {describe(architecture.placement)}.", opening='"""'),
        origin=paragraph(f"{origin_sentence(architecture)} {holding_sentence(architecture)}".strip()),
        weights=_escaped(weights),
        channels=network.in_channels,
        classes=network.classes,
        labels=labels_code(architecture),
        taken=paragraph(taken),
        hooks=_HOOKS_HEAD.format(hooks=hooks) if hooks else "",
        how=how,
    )


def _escaped(text: str) -> str:
    """Text without characters that would end or change a string."""
    return text.replace("\\", "\\\\").replace('"', '\\"')
