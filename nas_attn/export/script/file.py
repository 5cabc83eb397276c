"""The training script: the file of the network, then the loop and the command line."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path

from nas_attn.architecture import Architecture
from nas_attn.commands import command
from nas_attn.errors import ExportError
from nas_attn.export.python.carried import NN
from nas_attn.export.python.definitions import Definition
from nas_attn.export.python.expression import Writer
from nas_attn.export.python.file import Addition, paragraph, python_source
from nas_attn.export.python.imports import Import
from nas_attn.export.python.write import write_compared
from nas_attn.export.subject import Subject
from nas_attn.losses import loss_text
from nas_attn.models.asked_network import ALL, IMAGENET, NO_WEIGHTS
from nas_attn.models.described_network import DescribedNetwork
from nas_attn.models.families import FAMILIES
from nas_attn.training.full.plan import STEPS, FitSettings
from nas_attn.training.recipe import Recipe, recipe_for

_LOOP = "nas_attn.export.script.loop"
_PARTS = ("read_pairs", "train", "class_ious")
_RECIPE = Definition("nas_attn.training.recipe", "Recipe")
_REMOVE = Definition("nas_attn.models.insertion.insert", "remove_modules")
_READ, _FIT = Definition("nas_attn.export.python.runtime", "read_tensors"), Definition(_LOOP, "fit_tensors")

_HOW = """
Train it and the baseline, and compare them on the validation images (masks hold class numbers, 255 is ignored):

    python {name} IMAGES MASKS --val-images IMAGES --val-masks MASKS{weights}
    python {name} IMAGES MASKS --val-images IMAGES --val-masks MASKS{weights} --baseline

{recipe}
It also needs NumPy and Pillow.
"""

_MAIN = '''

def main() -> None:
    """Train, print the IoU of each class, write the weights."""
    parser = argparse.ArgumentParser(description="Train the network with its attention, or without.")
    parser.add_argument("images", type=Path, help="folder of training images")
    parser.add_argument("masks", type=Path, help="folder of their masks, by the same names")
    parser.add_argument("--val-images", type=Path)
    parser.add_argument("--val-masks", type=Path)
    parser.add_argument("--baseline", action="store_true", help="leave the attention away")
    parser.add_argument("--steps", type=int, default={steps})
    parser.add_argument("--image-size", type=int, default={image_size}, help="side of the crops, in pixels")
    parser.add_argument("--longest-side", type=int, default={longest_side}, help="shrink larger images to it")
    parser.add_argument("--batch-size", type=int, default={batch_size})
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("-o", "--output", type=Path, default=Path("weights.pt"))
{weights_flag}    asked = parser.parse_args()
    torch.manual_seed(asked.seed)
    network = build()
    if asked.baseline:
        {drop}
{weights}    network.to(asked.device)
    settings = {{name: getattr(asked, name) for name in ("steps", "image_size", "batch_size", "seed")}}
    pairs = {read_pairs}(asked.images, asked.masks, {channels}, asked.longest_side)
    {train}(network, pairs, normalise, {recipe}({changes}), settings, torch.device(asked.device))
    torch.save(network.state_dict(), asked.output)
    if asked.val_images is not None:
        pairs = {read_pairs}(asked.val_images, asked.val_masks, {channels}, asked.longest_side)
        ious = {class_ious}(network, pairs, normalise, len(CLASSES))
        for name, iou in zip(CLASSES, ious, strict=True):
            print(f"IoU x100 of {{name}}: {{100 * iou:.2f}}")
    print(f"weights: {{asked.output}}")


if __name__ == "__main__":
    main()
'''

_PRETRAINED = '''

def pretrained() -> nn.Module:
    """The network with its library's own weights, which may be fetched."""
    return {call}
'''

_FLAG = '    parser.add_argument("--weights", type=Path, required=True, help="trained weights to begin with")\n'
_FROM_FILE = """\
    print("tensors that fit:", {fit}(network.network, {read}(asked.weights)))
"""
_FROM_LIBRARY = "    {fit}(network.network, pretrained().state_dict())\n"


def write_script(subject: Subject, path: Path) -> str:
    """Write a script that trains the network of an architecture from its initialisation, without its trained
    weights.

    Returns:
        in words, how the script's network compares with that of nas-attn.
    Raises:
        ExportError: the script cannot train it as a search does, or the path cannot be written.
    """
    return write_compared(subject, path, script_source(subject.architecture, path.name, subject.longest_side))


def script_source(architecture: Architecture, name: str, longest_side: int | None = None) -> str:
    """A script that trains the network, or its baseline, on two folders.

    Args:
        architecture: for still images, with a network all of whose parts are trained.
        name: of the file.
        longest_side: to which the search shrank larger images; None if it did not, or if that is not known.
    Raises:
        ExportError: the script cannot train it as a search does.
    """
    network = architecture.network
    if architecture.multi_label:
        raise ExportError(
            "script: reads masks of class indices, and these classes may overlap (multi_label); train with "
            f"'{command('train')}', and export the network with --format python"
        )
    if network.frames > 1:
        raise ExportError("script: reads still images, and this network takes clips; --format python has no loop")
    if not isinstance(network, DescribedNetwork):
        raise ExportError(
            "script: is for networks of other libraries and of your own; nas-attn's U-Net is trained by "
            f"'{command('train')}', and --format python has it without nas-attn"
        )
    if network.asked.train != ALL:
        raise ExportError(f"script: trains all parts of a network, and this one has train: {network.asked.train}")
    if network.in_channels not in (1, 3):
        raise ExportError(f"script: reads images of 1 or 3 channels, and these have {network.in_channels}")
    from_file = network.asked.weights not in (NO_WEIGHTS, IMAGENET)
    used = [Definition(_LOOP, part) for part in _PARTS] + [_RECIPE, _REMOVE]
    if network.asked.weights != NO_WEIGHTS:
        used.append(_FIT)
    addition = Addition(
        tuple(used),
        (Import("argparse", "", "argparse"), NN),
        _HOW.format(
            name=name,
            weights=" --weights FILE" if from_file else "",
            recipe=_recipe_text(architecture, longest_side),
        ),
        lambda names, writer: _ending(architecture, network, longest_side, names, writer),
    )
    return python_source(architecture, None, "weights.pt", addition)


def _recipe_of(architecture: Architecture) -> Recipe:
    """The recipe of the search, with its loss, class weights and crops; the default recipe if no search found the
    architecture."""
    recipe, found = recipe_for(architecture.network), architecture.found
    if found is None:
        return recipe
    return replace(recipe, loss=found.loss, class_weights=found.class_weights, foreground=found.foreground)


def _recipe_text(architecture: Architecture, longest_side: int | None) -> str:
    """What is the same as in the search, and what is not."""
    recipe, size = _recipe_of(architecture), architecture.image_size
    whose = "a search with no settings of its own" if architecture.found is None else "the search"
    loss = loss_text(recipe.loss, recipe.class_weights, recipe.foreground)
    shrunk = "" if longest_side is None else f" of images shrunk to {longest_side} pixels"
    sentences = (
        f"Loss, optimiser, schedule, augmentation and crops are those of {whose}: {loss}; crops of {size} "
        f"pixels{shrunk}. Steps and batches are those of a full training, "
        f"{STEPS} steps of {FitSettings.batch_size} crops."
    )
    return paragraph(sentences)


def _ending(
    architecture: Architecture,
    network: DescribedNetwork,
    longest_side: int | None,
    names: Mapping[Definition, str],
    writer: Writer,
) -> str:
    pretrained, flag, weights = "", "", ""
    if network.asked.weights == IMAGENET:
        pretrained = _PRETRAINED.format(call=_library_call(network, writer))
        weights = _FROM_LIBRARY.format(fit=names[_FIT])
    elif network.asked.weights != NO_WEIGHTS:
        flag, weights = _FLAG, _FROM_FILE.format(fit=names[_FIT], read=names[_READ])
    parts = {part: names[Definition(_LOOP, part)] for part in _PARTS}
    return pretrained + _MAIN.format(
        **parts,
        steps=STEPS,
        image_size=architecture.image_size,
        longest_side=longest_side,
        batch_size=FitSettings.batch_size,
        channels=network.in_channels,
        drop=f"{names[_REMOVE]}(network.network)",
        recipe=names[_RECIPE],
        changes=_changes(_recipe_of(architecture), writer),
        weights_flag=flag,
        weights=weights,
    )


def _changes(recipe: Recipe, writer: Writer) -> str:
    """Where a recipe differs from the default one, as arguments."""
    return ", ".join(
        f"{one.name}={writer.write(getattr(recipe, one.name), '', 0)}"
        for one in fields(Recipe)
        if getattr(recipe, one.name) != one.default
    )


def _library_call(network: DescribedNetwork, writer: Writer) -> str:
    plan = FAMILIES[network.asked.family].plan_pretrained
    if plan is None:
        raise ExportError(f"script: {network.asked.family} has no weights of its own")
    builder = plan(network.asked, network.in_channels, network.classes)
    arguments = ", ".join(f"{name}={writer.write(value, '', 0)}" for name, value in builder.arguments.items())
    return f"{builder.name.rpartition('.')[2]}({arguments})"
